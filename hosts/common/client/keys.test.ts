// SPDX-License-Identifier: MIT OR Apache-2.0
/** Key files as chrony and ntpd write them, and what is no key. No message may have a secret. */
import { describe, expect, it } from "vitest";
import { NtpError } from "../errors.ts";
import { checkedKey, parseKeys, type SymmetricKey } from "./keys.ts";

const octets = (text: string) => new TextEncoder().encode(text);
const error = (text: string): NtpError => {
  try {
    parseKeys(text);
  } catch (caught) {
    return caught as NtpError;
  }
  throw new Error("expected an error");
};

describe("a key file", () => {
  it("has an identifier, a type and a secret a line", () => {
    expect(parseKeys("1 MD5 HEX:0123456789abcdef\n7 SHA1 tulip\n4294967295 SHA256 ASCII:rose")).toEqual([
      { id: 1, type: "MD5", secret: Uint8Array.of(0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef) },
      { id: 7, type: "SHA1", secret: octets("tulip") },
      { id: 4294967295, type: "SHA256", secret: octets("rose") },
    ]);
  });

  it("may leave the type away, which is then MD5, and write it as ntpd does", () => {
    expect(parseKeys("1 tulip\n2 M rose\n3 md5 lily\n4 AES128CMAC HEX:000102030405060708090a0b0c0d0e0f").map(({ type }) => type)).toEqual(["MD5", "MD5", "MD5", "AES128"]);
  });

  it("has comments, empty lines, blanks around, and any line ends", () => {
    expect(parseKeys("# keys\r\n\r\n  5\tSHA1   tulip \n! old\n% old\n; old\n").map(({ id }) => id)).toEqual([5]);
    expect(parseKeys("")).toEqual([]);
  });

  it.each([
    ["a word too few", "1", 'line 1: expected "ID TYPE SECRET", got 1 word'],
    ["a word too many", "1 MD5 a b", 'line 1: expected "ID TYPE SECRET", got 4 words'],
    ["no number", "one MD5 hidden", 'line 1: expected "ID TYPE SECRET" with a number first, got something else'],
    ["a type nobody has", "1 SHA3 hidden", "line 1: expected a type of MD5, SHA1, SHA256, AES128, AES256, got \"SHA3\""],
    ["half an octet", "1 MD5 HEX:123", "line 1: expected pairs of hexadecimal digits behind HEX:, got something else"],
    ["no octets at all", "1 MD5 HEX:", "line 1: key 1: expected a secret of 1..64 octets, got 0 octets"],
    ["a short AES key", "\n2 AES256 HEX:00112233", "line 2: key 2: expected a secret of 32 octets for AES256, got 4 octets"],
    ["key 0", "0 MD5 hidden", "line 1: key 0: expected a number of 1..4294967295, got 0"],
    ["a number too large", "4294967296 MD5 hidden", "line 1: key 4294967296: expected a number of 1..4294967295, got 4294967296"],
    ["one key twice", "1 MD5 hidden\n1 SHA1 hidden", "line 2: expected each key once, got key 1 again"],
  ])("with %s is refused, and its line told", (_what, text, message) => {
    const { code, message: told } = error(text);
    expect({ code, told }).toEqual({ code: "INVALID_ARGUMENT", told: message });
    expect(told).not.toContain("hidden");
  });
});

describe("a key given by a program", () => {
  it("is checked alike", () => {
    const key: SymmetricKey = { id: 3, type: "AES128", secret: new Uint8Array(16) };
    expect(checkedKey(key)).toBe(key);
    for (const wrong of [{ ...key, secret: new Uint8Array(15) }, { ...key, id: 1.5 }, { ...key, type: "DES" as "MD5" }, { ...key, secret: "tulip" as unknown as Uint8Array }, { id: 1, type: "MD5" as const, secret: new Uint8Array(65) }]) {
      expect(() => checkedKey(wrong)).toThrow(NtpError);
    }
  });
});
