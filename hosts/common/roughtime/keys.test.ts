// SPDX-License-Identifier: MIT OR Apache-2.0
/** Keys and delegations: made, written, read back; rotated; and messages without secrets. @module */

import { describe, expect, it } from "vitest";
import { NtpError } from "../errors.ts";
import { signerOf, publicKeyOf, verify, RESPONSE_CONTEXT } from "./ed25519.ts";
import { currentDelegation, delegate, delegationFile, delegations, generateKey, keyFile, readKeyFile } from "./keys.ts";
import { base64 } from "./list.ts";

const host = { random: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes) };
const key = generateKey(host);
const START = 1_900_000_000n;
const DAY = 86_400n;

describe("delegations", () => {
  const keys = delegations(host, key, { start: START, days: 2, count: 3 });

  it("follow each other without a gap, each with a key of its own", () => {
    for (let at = START; at < START + 6n * DAY; at += 3600n) expect(currentDelegation(keys, at), String(at)).toBeDefined();
    expect(new Set(keys.delegations.map(({ seed }) => base64(seed))).size).toBe(3);
  });

  it("are over before the first and after the last, an hour of grace aside", () => {
    expect(currentDelegation(keys, START - 3601n)).toBeUndefined();
    expect(currentDelegation(keys, START + 6n * DAY + 3601n)).toBeUndefined();
  });

  it("are used from their beginning on: the newest that holds", () => {
    expect(currentDelegation(keys, START + 2n * DAY)?.notBefore).toBe(START + 2n * DAY - 3600n);
  });

  it("that end before they begin are refused", () => {
    expect(() => delegate(host, key, 10n, 10n)).toThrow("ends after it begins");
    expect(() => delegate(host, key, -5n, 10n)).toThrow(NtpError);
  });
});

describe("key files", () => {
  const keys = delegations(host, key, { start: START, days: 1, count: 2 });

  it("are read back as they were written", () => {
    expect(readKeyFile(keyFile(key))).toEqual({ key });
    expect(readKeyFile(delegationFile(keys))).toEqual({ keys });
  });

  it("of delegations do not hold the long-term key", () => {
    expect(delegationFile(keys)).not.toContain(base64(key.seed));
  });

  it.each([
    ["nothing", ""],
    ["half of one", keyFile(key).slice(0, 100)],
    ["another kind", keyFile(key).replace("long-term", "short-term")],
    ["another public key", keyFile(key).replace(base64(key.publicKey), base64(new Uint8Array(32)))],
    ["a short seed", keyFile(key).replace(base64(key.seed), base64(key.seed.subarray(0, 16)))],
    ["no delegations", delegationFile({ ...keys, delegations: [] })],
    ["a delegation without times", delegationFile(keys).replaceAll("notBefore", "before")],
    ["a certificate cut short", delegationFile(keys).replace(base64(keys.delegations[0]!.certificate), "AAAA")],
    ["null", "null"],
    ["a delegation that is null", delegationFile(keys).replace(/"delegations": \[[^]*\]/, '"delegations": [null]')],
  ])("with %s are refused, without a word of what is in them", (_, text) => {
    let error: unknown;
    try {
      readKeyFile(text);
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
    const { message } = error as Error;
    for (const secret of [base64(key.seed), base64(key.publicKey), base64(keys.delegations[0]!.seed)]) expect(message).not.toContain(secret.slice(0, 8));
  });
});

describe("a signer", () => {
  it.each([["node", "20.19.2"], ["node", "20.19.3"], ["node", "22.12.0"], ["node", "26.0.0"], ["bun", "1.0.0"]] as const)("of %s %s signs what noble verifies", async (runtime, version) => {
    const sign = await signerOf({ runtime, version }, key.seed);
    const signature = await sign(RESPONSE_CONTEXT, Uint8Array.of(1, 2, 3));
    expect(verify(signature, RESPONSE_CONTEXT, Uint8Array.of(1, 2, 3), publicKeyOf(key.seed))).toBe(true);
    expect(verify(signature, RESPONSE_CONTEXT, Uint8Array.of(1, 2, 4), publicKeyOf(key.seed))).toBe(false);
  });

  it("never passes for one with octets that are no signature or no key", () => {
    for (const length of [0, 31, 63, 65]) expect(verify(new Uint8Array(length), RESPONSE_CONTEXT, new Uint8Array(1), key.publicKey)).toBe(false);
    expect(verify(new Uint8Array(64), RESPONSE_CONTEXT, new Uint8Array(1), new Uint8Array(31))).toBe(false);
    // The neutral element as a key, for which some verifiers take any message as signed by zeros.
    expect(verify(Uint8Array.of(1, ...new Uint8Array(63)), RESPONSE_CONTEXT, new Uint8Array(1), Uint8Array.of(1, ...new Uint8Array(31)))).toBe(false);
  });
});
