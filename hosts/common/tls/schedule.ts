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

import { wipe } from "../octets.ts";
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

/** Hash of nothing; and the secret that the shared one is extracted with, which without a pre-shared key is always the same. */
interface Beginning {
  readonly empty: Uint8Array;
  readonly salt: Uint8Array;
}

const beginnings = new Map<string, Promise<Beginning>>();

async function begin(hash: SuiteHash): Promise<Beginning> {
  const zeros = new Uint8Array(hash.length);
  const [empty, early] = await Promise.all([digest(hash, NOTHING), hmac(hash, zeros, zeros)]);
  return { empty, salt: await expandLabel(hash, early, "derived", empty, hash.length) };
}

/** Everything that can be derived early is: each step waits for WebCrypto's threads. */
export class KeySchedule {
  readonly #hash: SuiteHash;
  readonly #begun: Promise<Beginning>;
  #master: Promise<Uint8Array> | undefined;
  #exporter: Uint8Array | undefined;

  constructor(hash: SuiteHash) {
    this.#hash = hash;
    this.#begun = beginnings.get(hash.name) ?? begin(hash);
    beginnings.set(hash.name, this.#begun);
    // Whoever needs it hears of a failure, and the next connection tries anew.
    this.#begun.catch(() => beginnings.delete(hash.name));
  }

  /** With the result of the key exchange, which is wiped, and the transcript through ServerHello. */
  async handshake(shared: Uint8Array, transcript: Uint8Array): Promise<TrafficSecrets> {
    const { salt } = await this.#begun;
    const secret = await hmac(this.#hash, salt, shared).finally(() => wipe(shared));
    this.#master = this.#next(secret);
    const traffic = this.#traffic(secret, "hs", transcript);
    // Who gives up before the master secret is needed need not hear of a failure.
    void Promise.allSettled([this.#master, traffic]).then(() => wipe(secret));
    return traffic;
  }

  /** With the transcript through the server's Finished. Afterwards keys can be exported. */
  async application(transcript: Uint8Array): Promise<TrafficSecrets> {
    if (!this.#master) throw new TypeError("the application's keys come after the handshake's");
    const secret = await this.#master;
    const [exporter, secrets] = await Promise.all([this.#derive(secret, "exp master", transcript), this.#traffic(secret, "ap", transcript)]);
    this.#exporter = exporter;
    wipe(secret);
    return secrets;
  }

  /** Wipe what is left. Nothing can be exported any more. */
  forget(): void {
    void this.#master?.then(wipe, () => {});
    if (this.#exporter) wipe(this.#exporter);
    this.#exporter = undefined;
  }

  /** exporter_master_secret, for the key log. */
  get exporterSecret(): Uint8Array {
    if (!this.#exporter) throw new TypeError("there is no exporter before the handshake ends, nor after the connection");
    return this.#exporter;
  }

  /** §7.5: HKDF-Expand-Label(Derive-Secret(exporter_master_secret, label, ""), "exporter", Hash(context), length). */
  async exportKey(label: string, context: Uint8Array, length: number): Promise<Uint8Array> {
    const { empty } = await this.#begun;
    const [secret, hashed] = await Promise.all([this.#derive(this.exporterSecret, label, empty), digest(this.#hash, context)]);
    return expandLabel(this.#hash, secret, "exporter", hashed, length).finally(() => wipe(secret));
  }

  /** Master Secret out of Handshake Secret. */
  async #next(secret: Uint8Array): Promise<Uint8Array> {
    const { empty } = await this.#begun;
    const salt = await this.#derive(secret, "derived", empty);
    return hmac(this.#hash, salt, new Uint8Array(this.#hash.length)).finally(() => wipe(salt));
  }

  async #traffic(secret: Uint8Array, stage: string, transcript: Uint8Array): Promise<TrafficSecrets> {
    const [client, server] = await Promise.all(["c", "s"].map((side) => this.#derive(secret, `${side} ${stage} traffic`, transcript)));
    return { client: client!, server: server! };
  }

  #derive(secret: Uint8Array, label: string, transcript: Uint8Array): Promise<Uint8Array> {
    return expandLabel(this.#hash, secret, label, transcript, this.#hash.length);
  }
}

/** verify_data of Finished (§4.4.4). */
export async function finishedMac(hash: SuiteHash, secret: Uint8Array, transcript: Uint8Array): Promise<Uint8Array> {
  const key = await expandLabel(hash, secret, "finished", NOTHING, hash.length);
  return hmac(hash, key, transcript).finally(() => wipe(key));
}

/** The secret after a KeyUpdate (§7.2). */
export function nextSecret(hash: SuiteHash, secret: Uint8Array): Promise<Uint8Array> {
  return expandLabel(hash, secret, "traffic upd", NOTHING, hash.length);
}
