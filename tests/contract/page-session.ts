// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The client's half of the contract's session, on any build of the core that can read replies: one hash over what it says of
 * some thousand packets. For Node (page.test.ts) and for Chromium (tests/browser).
 *
 * Only plain requests: what is authenticated is not for every build. Field offsets are written down here, as the small build
 * does not export them; page.test.ts holds them against the whole core by the equal hash.
 *
 * @module
 */

import type { Core } from "../../hosts/common/core/core.ts";

const PACKETS = 4000;
const EXCHANGE_SIZE = 89;
const SAMPLE_SIZE = 154;
const STRIDE = 256;
const AT_VERSION = 1;
const AT_MODE = 8;
const AT_ORIGIN = 16;

/** A linear congruential generator (Knuth's MMIX), for packets that are the same everywhere. */
function generator(seed: bigint): () => number {
  let state = seed;
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 40n) & 0xff;
  };
}

/** One hash over what a build says of each packet. */
export async function pageSessionHash(core: Core): Promise<string> {
  const { bytes, exports } = core;
  const random = generator(20361118n);
  const [slot, exchange, sample] = ["SLOTS", "EXCHANGE", "SAMPLE"].map((name) => core.constant(name)) as [number, number, number];
  const log = new Uint8Array(PACKETS * STRIDE);
  for (let i = 0; i < PACKETS; i++) {
    const length = i % 3 === 0 ? 48 + (random() % 40) * 4 : 48;
    for (let k = 0; k < EXCHANGE_SIZE; k++) bytes[exchange + k] = random();
    for (let k = 0; k < length; k++) bytes[slot + k] = random();
    bytes[exchange] = 0;
    bytes[exchange + AT_VERSION] = 4;
    bytes[exchange + AT_MODE] = 3;
    // Most are made true replies, so that the arithmetic is reached.
    if (i % 5 !== 0) {
      bytes[slot] = 0x24;
      bytes.set(bytes.slice(exchange + AT_ORIGIN, exchange + AT_ORIGIN + 8).reverse(), slot + 24);
    }
    const at = i * STRIDE;
    log[at] = exports.replyRead(slot, length, exchange, sample);
    log.set(bytes.subarray(sample, sample + SAMPLE_SIZE), at + 1);
    log[at + 200] = exports.requestWrite(slot, exchange);
    log.set(bytes.subarray(slot, slot + 48), at + 201);
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", log));
  return Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join("");
}
