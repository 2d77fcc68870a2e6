// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Handshake messages out of records (RFC 8446 §5.1): joined where they were cut, parted where several came together.
 *
 *     msg_type (1)  length (3)  body
 *
 * Bounded: a message has at most 64 KiB, a handshake at most 128 KiB. A message must not span a change of keys: `boundary()`
 * is called before each. Tested in client.test.ts.
 *
 * @module
 */

import { fail, received, TlsFailure } from "./alert.ts";
import { concat } from "./codec.ts";
import { CONTENT, messageName } from "./constants.ts";
import type { RecordStream } from "./record.ts";

export interface Message {
  readonly type: number;
  readonly body: Uint8Array;
  /** With its header, as the transcript wants it. */
  readonly raw: Uint8Array;
}

const HEADER = 4;
const LONGEST_MESSAGE = 2 ** 16;
const LONGEST_HANDSHAKE = 2 ** 17;

export class MessageStream {
  readonly #records: RecordStream;
  #pending: Uint8Array = new Uint8Array(0);
  #total = 0;

  constructor(records: RecordStream) {
    this.#records = records;
  }

  /** The next message, which must be of one of these types. */
  async read(...types: readonly number[]): Promise<Message> {
    for (;;) {
      const message = this.take();
      if (message && types.includes(message.type)) return message;
      if (message) fail("unexpected_message", `expected ${types.map(messageName).join(" or ")}, got ${messageName(message.type)}`);
      const record = await this.#records.read(this.partial);
      if (!record) throw new TlsFailure(undefined, `TLS: the server closed the connection; expected ${types.map(messageName).join(" or ")}`);
      if (record.type === CONTENT.alert) throw received(readAlert(record.data));
      if (record.type !== CONTENT.handshake) fail("unexpected_message", "application data before the handshake was done");
      this.add(record.data);
    }
  }

  /** Octets of handshake records. */
  add(data: Uint8Array): void {
    this.#total += data.length;
    if (this.#total > LONGEST_HANDSHAKE) fail("illegal_parameter", `expected a handshake of at most ${LONGEST_HANDSHAKE} octets, got more`);
    this.#pending = concat(this.#pending, data);
  }

  /** A message that is complete. */
  take(): Message | undefined {
    const [type = 0, high = 0, middle = 0, low = 0] = this.#pending;
    if (this.#pending.length < HEADER) return undefined;
    const length = (high << 16) | (middle << 8) | low;
    if (length > LONGEST_MESSAGE) fail("illegal_parameter", `${messageName(type)}: expected at most ${LONGEST_MESSAGE} octets, got ${length}`);
    if (this.#pending.length < HEADER + length) return undefined;
    const raw = this.#pending.subarray(0, HEADER + length);
    this.#pending = this.#pending.subarray(raw.length);
    return { type, body: raw.subarray(HEADER), raw };
  }

  /** Whether a message has begun and not ended. */
  get partial(): boolean {
    return this.#pending.length > 0;
  }

  /** Keys are about to change: nothing may be left over from the old ones. */
  boundary(): void {
    if (this.partial) fail("unexpected_message", "a handshake message across a change of keys");
  }

  /** What came so far no longer counts: after the handshake each message is bounded by itself. */
  resetBound(): void {
    this.#total = 0;
  }
}

/** The description in an alert record (§6), which holds exactly one alert. */
export function readAlert(data: Uint8Array): number {
  if (data.length !== 2) fail("decode_error", `expected an alert of 2 octets, got ${data.length}`);
  return data[1] ?? 0;
}
