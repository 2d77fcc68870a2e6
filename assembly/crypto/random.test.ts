// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The generator of nonces, seen through the nonces that an NTS server gives, and worked out anew with noble: AES-256 in
 * counter mode, of each 66 blocks the first two the next key.
 */
import { ctr } from "@noble/ciphers/aes.js";
import { describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { hex } from "../../tests/support/core.ts";
import { ntsRequest, readAnswer } from "../../tests/support/nts.ts";

const SEED = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
const session = { aead: 15, c2s: new Uint8Array(32).fill(1), s2c: new Uint8Array(32).fill(2) };

/** A server seeded with `seed`, and a request that it answers. */
function serverOf(seed: Uint8Array) {
  const core = new Core();
  const [at, scratch, server] = [core.constant("SLOTS"), core.constant("SCRATCH"), core.constant("SERVER")] as const;
  core.exports.cookieKeySet(0, 1, scratch);
  core.exports.cookieKeyCurrent(0);
  core.bytes.set(session.c2s, scratch);
  core.bytes.set(session.s2c, scratch + 64);
  const length = core.exports.cookieSeal(15, scratch, scratch + 64, scratch + 256, scratch + 512);
  const request = ntsRequest(session, { cookie: core.bytes.slice(scratch + 256, scratch + 256 + length) });
  core.bytes.set(seed, scratch);
  core.exports.ntsSeed(scratch);
  expect(core.bytes.slice(scratch, scratch + 32).every((octet) => octet === 0), "the seed is left where the host put it").toBe(true);
  /** The nonces of one answer: its cookie's and its own. */
  return (): string[] => {
    core.bytes.set(request, at);
    const reply = core.exports.respond(at, request.length, 1n << 63n, server);
    core.exports.stampTransmit(at, 1n << 63n);
    const { cookies, nonce } = readAnswer(session, core.bytes.slice(at, at + reply));
    return [hex(cookies[0]!.slice(4, 20)), hex(nonce)];
  };
}

/** The first `count` blocks, by noble. The counter is little-endian in the first four octets; 66 fit into one. */
function expected(seed: Uint8Array, count: number): string[] {
  const blocks: string[] = [];
  let key = seed;
  while (blocks.length < count) {
    const all = Array.from({ length: 66 }, (_, i) => ctr(key, Uint8Array.from({ length: 16 }, (_, at) => (at === 0 ? i : 0))).encrypt(new Uint8Array(16)));
    key = new Uint8Array(Buffer.concat(all.slice(0, 2)));
    blocks.push(...all.slice(2).map(hex));
  }
  return blocks.slice(0, count);
}

describe("nonces", () => {
  it("are what noble makes of the seed, over several fillings of the pool, and none comes twice", () => {
    const answer = serverOf(SEED);
    const nonces = Array.from({ length: 100 }, answer).flat();
    expect(nonces).toEqual(expected(SEED, 200));
    expect(new Set(nonces).size).toBe(200);
  });

  it("depend on every bit of the seed", () => {
    const first = new Set([serverOf(SEED)()[0]]);
    for (let bit = 0; bit < 256; bit++) first.add(serverOf(SEED.map((octet, at) => (at === bit >> 3 ? octet ^ (1 << (bit & 7)) : octet)))()[0]);
    expect(first.size).toBe(257);
  });
});
