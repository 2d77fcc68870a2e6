// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The record layer (RFC 8446 §5): a stream of octets as records, protected once there are keys.
 *
 *     type (1)  legacy_record_version (2)  length (2)  fragment           before there are keys: at most 2^14 octets
 *     23 (1)    0x0303 (2)                 length (2)  AEAD(content ‖ type ‖ zeros)       after: at most 2^14 + 256
 *
 * The nonce is the record's number, from 0 under each key, XORed into the iv; the header is associated data. What is refused,
 * and by which alert: docs/tls.md. Tested in record.test.ts, in pieces of every size.
 *
 * @module
 */

import { wipe } from "../octets.ts";
import type { ByteStream } from "../stream.ts";
import { fail, TlsFailure } from "./alert.ts";
import { concat, number } from "./codec.ts";
import { CONTENT, TLS_1_2 } from "./constants.ts";
import { expandLabel, nextSecret } from "./schedule.ts";
import { type Aead, NONCE_LENGTH, type Suite, TAG_LENGTH } from "./suites.ts";

const HEADER = 5;
/** The most that a record carries. */
export const MOST_PLAIN = 2 ** 14;
const MOST_SEALED = MOST_PLAIN + 256;
const NOTHING = new Uint8Array(0);
/** A server in compatibility mode sends one. */
const MOST_CHANGE_CIPHER_SPEC = 4;

export interface TlsRecord {
  readonly type: number;
  readonly data: Uint8Array;
}

/** A key and what is made of it. */
interface Keys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly aead: Aead;
}

/** One direction's keys under one traffic secret, which it owns and wipes. */
export class Protection {
  readonly #suite: Suite;
  readonly #secret: Promise<Uint8Array>;
  readonly #keys: Promise<Keys>;
  #sequence: number;
  #forgotten = false;

  constructor(suite: Suite, secret: Uint8Array | Promise<Uint8Array>, sequence = 0) {
    this.#suite = suite;
    this.#secret = Promise.resolve(secret);
    this.#keys = this.#derive();
    // Whoever uses the keys hears of a failure; keys that are never used make no unhandled rejection.
    this.#keys.catch(() => {});
    this.#sequence = sequence;
  }

  async #derive(): Promise<Keys> {
    const { hash, keyLength, aead } = this.#suite;
    const secret = await this.#secret;
    const [key, iv] = await Promise.all([expandLabel(hash, secret, "key", NOTHING, keyLength), expandLabel(hash, secret, "iv", NOTHING, NONCE_LENGTH)]);
    return { key, iv, aead: aead(key) };
  }

  /** Whether it is time for new keys. */
  get worn(): boolean {
    return this.#sequence >= this.#suite.limit / 2;
  }

  /** What a KeyUpdate leads to (§7.2); the present keys are forgotten. */
  next(): Protection {
    const secret = this.#secret.then((secret) => nextSecret(this.#suite.hash, secret));
    void secret.then(() => this.forget(), () => {});
    return new Protection(this.#suite, secret);
  }

  /** Wipe secret and keys: no record is sealed or opened any more. */
  forget(): void {
    this.#forgotten = true;
    void Promise.all([this.#secret, this.#keys]).then(([secret, { key, iv }]) => wipe(secret, key, iv), () => {});
  }

  /** The whole record. */
  async seal(type: number, content: Uint8Array): Promise<Uint8Array> {
    const header = headerOf(CONTENT.application_data, content.length + 1 + TAG_LENGTH);
    const { aead, nonce } = await this.#next();
    return concat(header, await aead.seal(nonce, header, concat(content, Uint8Array.of(type))));
  }

  /** Content and type of a protected record. */
  async open(header: Uint8Array, sealed: Uint8Array): Promise<TlsRecord> {
    const keys = await this.#next();
    if (sealed.length < TAG_LENGTH + 1) fail("bad_record_mac", `expected a protected record, got one of ${sealed.length} octets`);
    const plain = await unlock(keys, header, sealed);
    if (plain.length > MOST_PLAIN + 1) fail("record_overflow", `expected a record of at most ${MOST_PLAIN} octets, got ${plain.length - 1}`);
    let end = plain.length - 1;
    while (end >= 0 && plain[end] === 0) end--;
    if (end < 0) fail("unexpected_message", "expected a record with a content type, got one of padding only");
    return { type: plain[end] ?? 0, data: plain.subarray(0, end) };
  }

  /** What the next record is sealed with. MUST be counted at the call, not when the keys are there. */
  async #next(): Promise<Sealing> {
    const sequence = this.#sequence++;
    if (sequence >= this.#suite.limit) fail("internal_error", `expected new keys before record ${sequence}, got none`);
    const { aead, iv } = await this.#keys;
    // A key of zeros would tell the world what is sealed with it.
    if (this.#forgotten) fail("internal_error", `expected keys for record ${sequence}, but the connection has forgotten them`);
    const count = number(8, sequence);
    return { aead, nonce: iv.map((octet, i) => octet ^ (i < 4 ? 0 : (count[i - 4] ?? 0))) };
  }
}

interface Sealing {
  readonly aead: Aead;
  readonly nonce: Uint8Array;
}

async function unlock({ aead, nonce }: Sealing, header: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
  try {
    return await aead.open(nonce, header, sealed);
  } catch {
    // The library's reason is left out: all that may be told is that the record is not authentic.
    return fail("bad_record_mac", "a record is not authentic: it was changed on its way, or the keys differ");
  }
}

function headerOf(type: number, length: number): Uint8Array {
  return concat(number(1, type), number(2, TLS_1_2), number(2, length));
}

/** Records over a stream of octets. Reads one at a time; writes keep their order. */
export class RecordStream {
  readonly #tcp: ByteStream;
  #rest: Uint8Array = NOTHING;
  #reading: Protection | undefined;
  #writing: Protection | undefined;
  #queue: Promise<void> = Promise.resolve();
  /** How many more change_cipher_spec records are passed over; none outside of the handshake. */
  #compatible = MOST_CHANGE_CIPHER_SPEC;

  constructor(tcp: ByteStream) {
    this.#tcp = tcp;
  }

  /** Protect, or protect anew, what is read from now on. */
  readWith(protection: Protection): void {
    this.#reading?.forget();
    this.#reading = protection;
  }

  /** The same for what is written after all that was written before. */
  writeWith(protection: Protection): void {
    void this.#enqueue(async () => {
      this.#writing?.forget();
      this.#writing = protection;
    });
  }

  readNext(): void {
    this.#reading = this.#reading?.next();
  }

  /** From the server's Finished on, change_cipher_spec is refused. */
  endHandshake(): void {
    this.#compatible = 0;
  }

  /**
   * The next record, opened; undefined when the stream ended between two records. `partial`: the last one left a handshake
   * message unfinished, so that nothing but the rest of it may come (§5.1).
   */
  async read(partial = false): Promise<TlsRecord | undefined> {
    for (;;) {
      const header = await this.#take(HEADER);
      if (!header) return undefined;
      const [type = 0, , , high = 0, low = 0] = header;
      const length = high * 256 + low;
      this.#checkHeader(type, length);
      const fragment = await this.#take(length);
      if (!fragment) return truncated();
      if (type === CONTENT.change_cipher_spec) this.#passOver(fragment, partial);
      else return this.#checked(this.#reading ? await this.#reading.open(header, fragment) : { type, data: fragment });
    }
  }

  /** Write `data` in as many records as it needs; none when it is empty. Resolves when the octets were taken over. */
  write(type: number, data: Uint8Array): Promise<void> {
    return this.#enqueue(async () => {
      for (let at = 0; at < data.length; at += MOST_PLAIN) {
        const part = data.subarray(at, at + MOST_PLAIN);
        await this.#tcp.write(this.#writing ? await this.#writing.seal(type, part) : concat(headerOf(type, part.length), part));
      }
    });
  }

  /** Write `message` and go on under the next keys; does nothing unless the present keys are worn or `force` is set. */
  renew(message: Uint8Array, force: boolean): Promise<void> {
    return this.#enqueue(async () => {
      const writing = this.#writing;
      if (!writing || (!force && !writing.worn)) return;
      await this.#tcp.write(await writing.seal(CONTENT.handshake, message));
      this.#writing = writing.next();
    });
  }

  /** The record that makes old middleboxes believe in a resumption (§D.4). */
  writeChangeCipherSpec(): Promise<void> {
    return this.#enqueue(() => this.#tcp.write(concat(headerOf(CONTENT.change_cipher_spec, 1), Uint8Array.of(1))));
  }

  close(): void {
    this.#tcp.close();
    this.#reading?.forget();
    // Not before what is being sealed.
    void this.#enqueue(async () => this.#writing?.forget());
  }

  #checkHeader(type: number, length: number): void {
    if (type < CONTENT.change_cipher_spec || type > CONTENT.application_data) {
      fail("unexpected_message", `expected a TLS record, got one of type ${type}; does the server speak TLS on this port?`);
    }
    if (type !== CONTENT.change_cipher_spec && (type === CONTENT.application_data) !== (this.#reading !== undefined)) {
      fail("unexpected_message", `expected a record ${this.#reading ? "under keys" : "before there are keys"}, got one of type ${type}`);
    }
    const most = this.#reading ? MOST_SEALED : MOST_PLAIN;
    if (length > most) fail("record_overflow", `expected a record of at most ${most} octets, got ${length}`);
  }

  #passOver(fragment: Uint8Array, partial: boolean): void {
    if (fragment.length === 1 && fragment[0] === 1 && !partial && this.#compatible-- > 0) return;
    fail("unexpected_message", "a change_cipher_spec record that has no place in TLS 1.3");
  }

  /** §5.4: only application data may be empty; within protection there is no change_cipher_spec. */
  #checked(record: TlsRecord): TlsRecord {
    const { type, data } = record;
    if (type < CONTENT.alert || type > CONTENT.application_data) fail("unexpected_message", `a record of the unknown type ${type}`);
    if (data.length === 0 && type !== CONTENT.application_data) fail("unexpected_message", "an empty record of handshake messages or alerts");
    return record;
  }

  async #take(length: number): Promise<Uint8Array | undefined> {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      if (this.#rest.length === 0) {
        const more = await this.#tcp.read();
        if (!more) return at === 0 && length === HEADER ? undefined : truncated();
        this.#rest = more;
      }
      const part = this.#rest.subarray(0, length - at);
      out.set(part, at);
      at += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return out;
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }
}

function truncated(): never {
  throw new TlsFailure(undefined, "TLS: the connection ended in the middle of a record");
}
