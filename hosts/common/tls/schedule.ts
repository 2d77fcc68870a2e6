// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The key schedule of TLS 1.3 without pre-shared keys (RFC 8446 §7.1), its transcript (§4.4.1) and its exporter (§7.5).
 *
 *     0 ─▶ Extract ─ Early Secret ─ "derived" ─▶ Extract(shared) ─ Handshake Secret ─▶ c hs traffic, s hs traffic
 *                                                     │ "derived"
 *                                                     ▼
 *                                              Extract(0) ─ Master Secret ─▶ c ap traffic, s ap traffic, exp master
 *
 * Both sides are here, the server's for tests. Tested in schedule.test.ts against the traces of RFC 8448.
 *
 * @module
 */

import { expand, extract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { ascii, concat, number, vector } from "./codec.ts";
import { MESSAGE } from "./constants.ts";
import type { SuiteHash } from "./suites.ts";

/** The secrets of either direction. */
export interface TrafficSecrets {
  readonly client: Uint8Array;
  readonly server: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** HKDF-Expand-Label (§7.1): HkdfLabel is length (2), "tls13 " + label <7..255>, context <0..255>. */
export function expandLabel(hash: SuiteHash, secret: Uint8Array, label: string, context: Uint8Array, length: number): Uint8Array {
  const info = concat(number(2, length), vector(1, ascii(`tls13 ${label}`)), vector(1, context));
  return expand(hash, secret, info, length);
}

/** The handshake messages so far, hashed. The hash is not known before the server's first message. */
export class Transcript {
  #early: Uint8Array[] = [];
  #hash: SuiteHash | undefined;
  #running: ReturnType<SuiteHash["create"]> | undefined;

  /** Choose the hash. A second choice changes nothing: the suite of a retry is the suite of the handshake. */
  use(hash: SuiteHash): void {
    if (this.#running) return;
    this.#hash = hash;
    this.#running = hash.create();
    for (const message of this.#early) this.#running.update(message);
    this.#early = [];
  }

  add(message: Uint8Array): void {
    if (this.#running) this.#running.update(message);
    else this.#early.push(message);
  }

  /** §4.4.1: before a HelloRetryRequest is added, the first ClientHello gives way to a message_hash of it. */
  retry(hash: SuiteHash): void {
    this.use(hash);
    const digest = this.digest();
    this.#running = hash.create().update(concat(number(1, MESSAGE.message_hash), number(3, digest.length), digest));
  }

  digest(): Uint8Array {
    if (!this.#running || !this.#hash) throw new TypeError("the transcript has no hash yet");
    return this.#running.clone().digest();
  }
}

export class KeySchedule {
  readonly #hash: SuiteHash;
  #secret: Uint8Array;
  #exporter: Uint8Array | undefined;

  constructor(hash: SuiteHash) {
    this.#hash = hash;
    this.#secret = extract(hash, new Uint8Array(hash.outputLen), NOTHING);
  }

  /** With the result of the key exchange and the transcript through ServerHello. */
  handshake(shared: Uint8Array, transcript: Uint8Array): TrafficSecrets {
    this.#secret = extract(this.#hash, shared, this.#derive("derived", this.#hash(NOTHING)));
    return { client: this.#derive("c hs traffic", transcript), server: this.#derive("s hs traffic", transcript) };
  }

  /** With the transcript through the server's Finished. Afterwards keys can be exported. */
  application(transcript: Uint8Array): TrafficSecrets {
    const zeros = new Uint8Array(this.#hash.outputLen);
    this.#secret = extract(this.#hash, zeros, this.#derive("derived", this.#hash(NOTHING)));
    this.#exporter = this.#derive("exp master", transcript);
    const secrets = { client: this.#derive("c ap traffic", transcript), server: this.#derive("s ap traffic", transcript) };
    this.#secret.fill(0);
    return secrets;
  }

  /** exporter_master_secret, for the key log. */
  get exporterSecret(): Uint8Array {
    if (!this.#exporter) throw new TypeError("there is no exporter before the handshake ends");
    return this.#exporter;
  }

  /** §7.5: HKDF-Expand-Label(Derive-Secret(exporter_master_secret, label, ""), "exporter", Hash(context), length). */
  exportKey(label: string, context: Uint8Array, length: number): Uint8Array {
    const secret = expandLabel(this.#hash, this.exporterSecret, label, this.#hash(NOTHING), this.#hash.outputLen);
    return expandLabel(this.#hash, secret, "exporter", this.#hash(context), length);
  }

  #derive(label: string, transcript: Uint8Array): Uint8Array {
    return expandLabel(this.#hash, this.#secret, label, transcript, this.#hash.outputLen);
  }
}

/** verify_data of Finished (§4.4.4). */
export function finishedMac(hash: SuiteHash, secret: Uint8Array, transcript: Uint8Array): Uint8Array {
  return hmac(hash, expandLabel(hash, secret, "finished", NOTHING, hash.outputLen), transcript);
}

/** The secret after a KeyUpdate (§7.2). */
export function nextSecret(hash: SuiteHash, secret: Uint8Array): Uint8Array {
  return expandLabel(hash, secret, "traffic upd", NOTHING, hash.outputLen);
}
