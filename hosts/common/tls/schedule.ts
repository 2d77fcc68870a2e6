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

import { ascii, concat, number, vector } from "./codec.ts";
import { MESSAGE } from "./constants.ts";
import { digest, expand, hmac, type SuiteHash } from "./hash.ts";

/** The secrets of either direction. */
export interface TrafficSecrets {
  readonly client: Uint8Array;
  readonly server: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** HKDF-Expand-Label (§7.1): HkdfLabel is length (2), "tls13 " + label <7..255>, context <0..255>. */
export function expandLabel(hash: SuiteHash, secret: Uint8Array, label: string, context: Uint8Array, length: number): Promise<Uint8Array> {
  const info = concat(number(2, length), vector(1, ascii(`tls13 ${label}`)), vector(1, context));
  return expand(hash, secret, info, length);
}

/**
 * The handshake messages so far. They are kept and hashed whole each time (a few kilobytes, four times), as WebCrypto has no
 * running hash; messages.ts bounds them. The hash is not known before the server's first message.
 */
export class Transcript {
  #messages: Uint8Array[] = [];
  #hash: SuiteHash | undefined;

  /** Choose the hash. A second choice changes nothing: the suite of a retry is the suite of the handshake. */
  use(hash: SuiteHash): void {
    this.#hash ??= hash;
  }

  add(message: Uint8Array): void {
    this.#messages.push(message);
  }

  /** §4.4.1: before a HelloRetryRequest is added, the first ClientHello gives way to a message_hash of it. */
  async retry(hash: SuiteHash): Promise<void> {
    this.use(hash);
    const hashed = await this.digest();
    this.#messages = [concat(number(1, MESSAGE.message_hash), number(3, hashed.length), hashed)];
  }

  async digest(): Promise<Uint8Array> {
    if (!this.#hash) throw new TypeError("the transcript has no hash yet");
    return digest(this.#hash, concat(...this.#messages));
  }
}

export class KeySchedule {
  readonly #hash: SuiteHash;
  readonly #zeros: Uint8Array;
  #secret: Uint8Array;
  #exporter: Uint8Array | undefined;

  constructor(hash: SuiteHash) {
    this.#hash = hash;
    this.#zeros = new Uint8Array(hash.length);
    this.#secret = this.#zeros;
  }

  /** With the result of the key exchange and the transcript through ServerHello. */
  async handshake(shared: Uint8Array, transcript: Uint8Array): Promise<TrafficSecrets> {
    this.#secret = await hmac(this.#hash, this.#zeros, this.#zeros);
    await this.#extract(shared);
    return this.#traffic("hs", transcript);
  }

  /** With the transcript through the server's Finished. Afterwards keys can be exported. */
  async application(transcript: Uint8Array): Promise<TrafficSecrets> {
    await this.#extract(this.#zeros);
    this.#exporter = await this.#derive("exp master", transcript);
    const secrets = await this.#traffic("ap", transcript);
    this.#secret.fill(0);
    return secrets;
  }

  /** exporter_master_secret, for the key log. */
  get exporterSecret(): Uint8Array {
    if (!this.#exporter) throw new TypeError("there is no exporter before the handshake ends");
    return this.#exporter;
  }

  /** §7.5: HKDF-Expand-Label(Derive-Secret(exporter_master_secret, label, ""), "exporter", Hash(context), length). */
  async exportKey(label: string, context: Uint8Array, length: number): Promise<Uint8Array> {
    const hash = this.#hash;
    const secret = await expandLabel(hash, this.exporterSecret, label, await digest(hash, NOTHING), hash.length);
    return expandLabel(hash, secret, "exporter", await digest(hash, context), length);
  }

  /** From one secret to the next. */
  async #extract(input: Uint8Array): Promise<void> {
    this.#secret = await hmac(this.#hash, await this.#derive("derived", await digest(this.#hash, NOTHING)), input);
  }

  async #traffic(stage: string, transcript: Uint8Array): Promise<TrafficSecrets> {
    return { client: await this.#derive(`c ${stage} traffic`, transcript), server: await this.#derive(`s ${stage} traffic`, transcript) };
  }

  #derive(label: string, transcript: Uint8Array): Promise<Uint8Array> {
    return expandLabel(this.#hash, this.#secret, label, transcript, this.#hash.length);
  }
}

/** verify_data of Finished (§4.4.4). */
export async function finishedMac(hash: SuiteHash, secret: Uint8Array, transcript: Uint8Array): Promise<Uint8Array> {
  return hmac(hash, await expandLabel(hash, secret, "finished", NOTHING, hash.length), transcript);
}

/** The secret after a KeyUpdate (§7.2). */
export function nextSecret(hash: SuiteHash, secret: Uint8Array): Promise<Uint8Array> {
  return expandLabel(hash, secret, "traffic upd", NOTHING, hash.length);
}
