// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A TLS connection after its handshake: application data, KeyUpdate, tickets that are passed over, and the end.
 *
 * An end without close_notify is an error: somebody may have cut the connection (RFC 8446 §6.1). What is not application
 * data is bounded, so that a server cannot keep a reader busy with nothing. Tested in stream.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { TlsStream } from "../stream.ts";
import { ALERT, type AlertName, alertOctets, fail, received, TlsFailure } from "./alert.ts";
import { Reader } from "./codec.ts";
import { CONTENT, MESSAGE, messageName } from "./constants.ts";
import { type Agreed, keyUpdate } from "./handshake.ts";
import type { Message } from "./messages.ts";
import { readAlert } from "./messages.ts";
import type { RecordStream } from "./record.ts";
import type { KeySchedule } from "./schedule.ts";

/** Records in a row that carry no application data. OpenSSL sends two tickets, others up to four. */
const MOST_IDLE_RECORDS = 32;
/** How long close_notify may take to leave before the connection is cut. */
const GOODBYE_MS = 1000;
const LONGEST_EXPORT = 8160;

export class EstablishedStream implements TlsStream {
  readonly alpn: string | undefined;
  readonly group: string;
  readonly cipher: string;
  readonly #records: RecordStream;
  readonly #messages: Agreed["messages"];
  readonly #schedule: KeySchedule;
  #closed = false;
  #ended = false;
  #failure: NtpError | undefined;

  constructor(records: RecordStream, { suite, group, alpn, schedule, messages }: Agreed) {
    this.alpn = alpn;
    this.group = group;
    this.cipher = suite.name;
    this.#records = records;
    this.#messages = messages;
    this.#schedule = schedule;
    messages.resetBound();
  }

  async exportKey(label: string, context: Uint8Array, length: number): Promise<Uint8Array> {
    if (!Number.isInteger(length) || length < 1 || length > LONGEST_EXPORT) {
      throw new NtpError("INVALID_ARGUMENT", `exportKey: expected a length of 1 to ${LONGEST_EXPORT} octets, got ${length}`);
    }
    if (!/^[\x20-\x7e]{1,249}$/.test(label)) throw new NtpError("INVALID_ARGUMENT", "exportKey: expected a label of 1 to 249 ASCII characters");
    if (this.#closed) throw new NtpError("TLS", "TLS: expected an open connection to export keys from, but it was closed");
    return this.#schedule.exportKey(label, context, length);
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.#failure) throw this.#failure;
    if (this.#closed || this.#ended) return undefined;
    try {
      return await this.#nextData();
    } catch (error) {
      if (this.#closed) return undefined;
      this.#failure = endedBy(error);
      if (error instanceof TlsFailure && error.alert) await this.#goodbye(error.alert);
      else this.#records.close();
      throw this.#failure;
    }
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#closed) throw new NtpError("TLS", "TLS: expected an open connection to write to, but it was closed");
    try {
      await this.#records.renew(keyUpdate(false), false);
      await this.#records.write(CONTENT.application_data, data);
    } catch (error) {
      throw endedBy(error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#schedule.forget();
    if (!this.#failure) void this.#goodbye("close_notify");
  }

  async #nextData(): Promise<Uint8Array | undefined> {
    for (let idle = 0; idle < MOST_IDLE_RECORDS; idle++) {
      const record = await this.#records.read(this.#messages.partial);
      if (!record) throw new TlsFailure(undefined, "TLS: the connection ended without close_notify: it may have been cut");
      if (record.type !== CONTENT.handshake && this.#messages.partial) fail("unexpected_message", "a handshake message that was interrupted");
      if (record.type === CONTENT.application_data && record.data.length > 0) return record.data;
      if (record.type === CONTENT.alert && this.#isEnd(readAlert(record.data))) return undefined;
      if (record.type === CONTENT.handshake) await this.#afterHandshake(record.data);
    }
    return fail("unexpected_message", `expected application data, got ${MOST_IDLE_RECORDS} records without any`);
  }

  #isEnd(description: number): boolean {
    if (description === ALERT.close_notify) this.#ended = true;
    else if (description !== ALERT.user_canceled) throw received(description);
    return this.#ended;
  }

  async #afterHandshake(data: Uint8Array): Promise<void> {
    this.#messages.resetBound();
    this.#messages.add(data);
    for (let message = this.#messages.take(); message; message = this.#messages.take()) {
      if (message.type === MESSAGE.key_update) await this.#keyUpdate(message);
      else if (message.type === MESSAGE.new_session_ticket) checkTicket(message.body);
      else fail("unexpected_message", `expected no ${messageName(message.type)} after the handshake`);
    }
  }

  /** §4.6.3: the next record comes under new keys; asked to, we change ours. */
  async #keyUpdate({ body }: Message): Promise<void> {
    const reader = new Reader(body, "KeyUpdate");
    const requested = reader.number(1);
    reader.end();
    if (requested > 1) fail("illegal_parameter", `KeyUpdate: expected 0 or 1, got ${requested}`);
    this.#messages.boundary();
    this.#records.readNext();
    if (requested === 1) await this.#records.renew(keyUpdate(false), true);
  }

  async #goodbye(alert: AlertName): Promise<void> {
    const timer = setTimeout(() => this.#records.close(), GOODBYE_MS);
    try {
      await this.#records.write(CONTENT.alert, alertOctets(alert));
    } catch {
      // There is nobody left to tell.
    } finally {
      clearTimeout(timer);
      this.#records.close();
    }
  }
}

/** Our own errors as they are, those of the connection below as one of ours. */
export function endedBy(error: unknown): NtpError {
  if (error instanceof NtpError) return error;
  return new NtpError("UNREACHABLE", "the connection below TLS failed", { cause: error });
}

/** NewSessionTicket (§4.6.1): lifetime (4), age_add (4), nonce <0..255>, ticket <1..2^16-1>, extensions <0..2^16-2>. Not used. */
function checkTicket(body: Uint8Array): void {
  const reader = new Reader(body, "NewSessionTicket");
  reader.bytes(8);
  reader.vector(1);
  reader.vector(2, 1);
  reader.vector(2);
  reader.end();
}

