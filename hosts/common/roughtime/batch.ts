// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The host's side of the core's Roughtime server: requests into its slots, one signature for each version, answers out.
 * Tested in server.test.ts.
 *
 * @module
 */

import { Core } from "../core/core.ts";
import { VERSION_1, VERSION_DRAFT, roughtimeCore } from "./core.ts";
import { RESPONSE_CONTEXT, type Signer } from "./ed25519.ts";

/** Requests that share a signature. */
export const BATCH = 64;

/** A request and what becomes of its answer. */
export interface Pending {
  readonly data: Uint8Array;
  /** Octets of message it must have to be answered. */
  readonly least: number;
  reply(answer: Uint8Array): void;
}

/** What is signed about the time. */
export interface Reading {
  /** Unix seconds. */
  readonly midpoint: bigint;
  readonly radius: number;
  readonly certificate: Uint8Array;
  readonly sign: Signer;
}

export class BatchCore {
  readonly #core = new Core();
  readonly #slots = this.#core.constant("SLOTS");
  readonly #stride = this.#core.constant("SLOT_STRIDE_OCTETS");
  /** The longest request that is looked at. */
  readonly longest = this.#stride - 64;

  /** `publicKey`: the long-term key that requests may name. */
  constructor(publicKey: Uint8Array) {
    this.#core.bytes.set(roughtimeCore().serverId(publicKey), this.#core.exports.roughtimeIdentity());
  }

  /**
   * Answer up to {@link BATCH} requests. Returns how many were answered, with how many signatures. MUST NOT be called again
   * before it has resolved: the slots are the requests' until then.
   */
  async answer(batch: readonly Pending[], reading: Reading): Promise<{ answered: number; signatures: number }> {
    const { bytes, exports } = this.#core;
    const versions = batch.map(({ data, least }, slot) => {
      if (data.length > this.longest) return 0;
      bytes.set(data, this.#slots + slot * this.#stride);
      return exports.roughtimeTake(slot, data.length, least) >>> 0;
    });
    try {
      return await this.#answerAll(batch, versions, reading);
    } finally {
      versions.forEach((_, slot) => exports.roughtimeDrop(slot));
    }
  }

  async #answerAll(batch: readonly Pending[], versions: readonly number[], reading: Reading): Promise<{ answered: number; signatures: number }> {
    const { bytes, exports } = this.#core;
    bytes.set(reading.certificate, exports.roughtimeCertificate());
    let [answered, signatures] = [0, 0];
    for (const version of [VERSION_1, VERSION_DRAFT]) {
      if (!versions.includes(version)) continue;
      const length = exports.roughtimeSeal(version, reading.midpoint, reading.radius);
      const sealed = exports.roughtimeSealed();
      bytes.set(await reading.sign(RESPONSE_CONTEXT, bytes.slice(sealed, sealed + length)), exports.roughtimeSignature());
      signatures += 1;
      batch.forEach(({ reply }, slot) => {
        const octets = versions[slot] === version ? exports.roughtimeAnswer(slot, version) : 0;
        if (octets === 0) return;
        answered += 1;
        const at = this.#slots + slot * this.#stride;
        reply(bytes.slice(at, at + octets));
      });
    }
    return { answered, signatures };
  }
}
