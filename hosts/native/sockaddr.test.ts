// SPDX-License-Identifier: MIT OR Apache-2.0
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAddress, parseAddress, readSockaddr, SOCKADDR_BYTES, writeSockaddr } from "./sockaddr.ts";
import type { Zones } from "./sockaddr.ts";

const zones: Zones = {
  interfaceIndex: (name) => (name === "eth0" ? 2 : 0),
  interfaceName: (index) => (index === 2 ? "eth0" : String(index)),
};

function hex(text: string): string | undefined {
  const parsed = parseAddress(text);
  return parsed && Buffer.from(parsed.octets).toString("hex");
}

describe("parseAddress", () => {
  it.each([
    ["0.0.0.0", "00000000"],
    ["192.0.2.255", "c00002ff"],
    ["::", "0".repeat(32)],
    ["::1", `${"0".repeat(31)}1`],
    ["1::", `0001${"0".repeat(28)}`],
    ["2001:db8::8:800:200c:417a", "20010db80000000000080800200c417a"],
    ["2001:DB8:0:0:8:800:200C:417A", "20010db80000000000080800200c417a"],
    ["::ffff:192.0.2.1", "00000000000000000000ffffc0000201"],
    ["64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221"],
    ["1:2:3:4:5:6:1.2.3.4", "00010002000300040005000601020304"],
    ["1:2:3:4:5:6:7::", "00010002000300040005000600070000"],
    ["::2:3:4:5:6:7:8", "00000002000300040005000600070008"],
    ["1::3:4:5:6:7:8", "00010000000300040005000600070008"],
  ])("reads %s", (text, expected) => expect(hex(text)).toBe(expected));

  it.each([
    "", ".", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", "0x1.2.3.4", "1..2.3", "+1.2.3.4", "127.1",
    ":", ":::", "1:", ":1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:2:3:4::5:6:7:8", "12345::", "g::",
    "::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "[::1]", "::1%", "1:2:3:4:5:6:7:1.2.3.4", "::-1", "localhost", "fe80::1 ",
  ])("refuses %j", (text) => expect(parseAddress(text)).toBeUndefined());

  it("keeps the zone apart", () => {
    expect(parseAddress("fe80::1%eth0")?.zone).toBe("eth0");
    expect(parseAddress("fe80::1%7")?.zone).toBe("7");
    expect(parseAddress("1.2.3.4%eth0")).toBeUndefined();
  });

  it("never throws, whatever the text", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseAddress(text)));
    const shards = fc.stringMatching(/^[0-9a-f:.%]{0,40}$/);
    fc.assert(fc.property(shards, (text) => void parseAddress(text)));
  });
});

describe("formatAddress (RFC 5952)", () => {
  it.each([
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:0db8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"],
    ["2001:DB8::ABCD", "2001:db8::abcd"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::1.2.3.4", "::102:304"],
  ])("writes %s as %s", (text, expected) => expect(formatAddress(parseAddress(text)!.octets)).toBe(expected));

  it("is read back as the same octets", () => {
    const octets = fc.uint8Array({ minLength: 16, maxLength: 16 });
    const sparse = octets.map((bytes) => bytes.map((byte) => (byte < 160 ? 0 : byte)));
    fc.assert(
      fc.property(fc.oneof(octets, sparse, fc.uint8Array({ minLength: 4, maxLength: 4 })), (bytes) => {
        expect([...parseAddress(formatAddress(bytes))!.octets]).toEqual([...bytes]);
      }),
    );
  });

  it("agrees with the URL parser on IPv6", () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const octets = parseAddress(text)?.octets;
        expect(octets).toBeDefined();
        const formatted = formatAddress(octets!);
        if (formatted.includes(":")) expect(`[${formatted}]`).toBe(new URL(`http://[${text}]/`).hostname);
      }),
    );
  });
});

describe("sockaddr", () => {
  const view = (): DataView => new DataView(new ArrayBuffer(4 + SOCKADDR_BYTES));

  it.each([
    [4, "192.0.2.7", "192.0.2.7", 16],
    [6, "2001:db8::7", "2001:db8::7", 28],
    [6, "192.0.2.7", "192.0.2.7", 28],
    [6, "::ffff:192.0.2.7", "192.0.2.7", 28],
    [6, "fe80::1%eth0", "fe80::1%eth0", 28],
    [6, "fe80::1%2", "fe80::1%eth0", 28],
    [6, "fe80::1%9", "fe80::1%9", 28],
  ] as const)("goes through an IPv%i socket: %s", (family, address, expected, length) => {
    const memory = view();
    expect(writeSockaddr(memory, 4, { address, port: 123 }, family, zones)).toBe(length);
    expect(readSockaddr(memory, 4, zones)).toEqual({ address: expected, port: 123 });
  });

  it("leaves nothing of the previous address behind", () => {
    const memory = view();
    writeSockaddr(memory, 0, { address: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%9", port: 65535 }, 6, zones);
    writeSockaddr(memory, 0, { address: "1.2.3.4", port: 0 }, 6, zones);
    expect(readSockaddr(memory, 0, zones)).toEqual({ address: "1.2.3.4", port: 0 });
    expect(memory.getUint32(24, true)).toBe(0);
  });

  it.each([
    [4, "::1", 1, "EAFNOSUPPORT"],
    [4, "ntp.example", 1, "EINVAL"],
    [6, "fe80::1%wlan7", 1, "ENODEV"],
    [6, "fe80::1%0", 1, "ENODEV"],
    [4, "1.2.3.4", -1, "EINVAL"],
    [4, "1.2.3.4", 65536, "EINVAL"],
    [4, "1.2.3.4", 1.5, "EINVAL"],
    [4, "1.2.3.4", Number.NaN, "EINVAL"],
  ] as const)("refuses on an IPv%i socket: %s port %d", (family, address, port, code) => {
    expect(() => writeSockaddr(view(), 0, { address, port }, family, zones)).toThrow(expect.objectContaining({ code }));
  });

  it("is undefined for another family", () => {
    expect(readSockaddr(view(), 0, zones)).toBeUndefined();
  });
});
