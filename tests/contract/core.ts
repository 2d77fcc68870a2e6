// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Contracts of the core: the same bytes everywhere, and the same bits out of the same packets.
 *
 * @module
 */

import { Core, coreBytes, coreModule, explainPacket, kissMeaning, refidText } from "escapement/core";
import { sha256 } from "./replay.ts";
import { must, type Contract } from "./suite.ts";

/** The hash of the core that runs here. */
export async function coreHash(): Promise<string> {
  return sha256(coreBytes()!);
}

/** A linear congruential generator (Knuth's MMIX), for packets that are the same everywhere. */
function generator(seed: bigint): () => number {
  let state = seed;
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 40n) & 0xff;
  };
}

const PACKETS = 4000;

/** One hash over everything the core says of some thousand odd packets, as client and as server. */
export async function sessionHash(): Promise<string> {
  const core = new Core();
  const random = generator(20361118n);
  const [slot, exchange, sample, server] = ["SLOTS", "EXCHANGE", "SAMPLE", "SERVER"].map((name) => core.constant(name)) as [number, number, number, number];
  const [sampleSize, exchangeSize] = [core.constant("SAMPLE_SIZE"), core.constant("EXCHANGE_SIZE")];
  const stride = 256;
  const log = new Uint8Array(PACKETS * stride);
  for (let i = 0; i < PACKETS; i++) {
    const length = i % 3 === 0 ? 48 + (random() % 40) * 4 : 48;
    for (let k = 0; k < exchangeSize; k++) core.bytes[exchange + k] = random();
    for (let k = 0; k < length; k++) core.bytes[slot + k] = random();
    core.bytes[exchange + core.constant("EXCHANGE_VERSION")] = 4;
    core.bytes[exchange + core.constant("EXCHANGE_MODE")] = 3;
    // Most are made true replies, so that the arithmetic is reached.
    if (i % 5 !== 0) {
      core.bytes[slot] = 0x24;
      core.bytes.set(core.bytes.slice(exchange + core.constant("EXCHANGE_ORIGIN")).subarray(0, 8).reverse(), slot + 24);
    }
    const at = i * stride;
    log[at] = core.exports.replyRead(slot, length, exchange, sample);
    log.set(core.bytes.subarray(sample, sample + sampleSize), at + 1);
    log[at + 200] = core.exports.respond(slot, length, BigInt(i) << 40n, server);
    log.set(core.bytes.subarray(slot, slot + 48), at + 201);
  }
  return sha256(log);
}

export const coreContracts: Contract[] = [
  {
    name: "the core imports nothing",
    check() {
      must(WebAssembly.Module.imports(coreModule()).length === 0, "it imports");
    },
  },
  {
    name: "the cold surface speaks in strings",
    check() {
      must(refidText(0x47505300, 1) === "GPS" && refidText(0xc0000201, 2) === "192.0.2.1", "refidText");
      must(kissMeaning("RATE").length > 0 && kissMeaning("?").length === 0, "kissMeaning");
      must(explainPacket(new Uint8Array(48)).includes("mode        0 (reserved)"), explainPacket(new Uint8Array(48)));
    },
  },
];
