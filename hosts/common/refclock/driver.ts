// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What all drivers do alike: open a device, be told when it is gone, wait a little longer each time, open it again.
 * Tested in gpsd.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Device } from "./devices.ts";
import { SampleQueue, type RefClock, type RefClockHealth, type RefClockSample } from "./refclock.ts";

/** Between two attempts to open a device: doubled up to a minute, and short again once it has worked. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 60_000;

export interface DriverOptions {
  readonly refid: string;
  readonly precision: number;
  readonly description: string;
  readonly poll?: number;
  readonly stratum?: number;
}

export abstract class Driver implements RefClock {
  readonly refid: string;
  readonly stratum: number;
  readonly poll: number;
  readonly precision: number;
  readonly description: string;
  readonly #queue = new SampleQueue(() => this.close());
  #device: Device | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waitMs = FIRST_WAIT_MS;
  #opened = 0;
  #started = false;
  #closed = false;
  #health: RefClockHealth = { state: "waiting", message: "nothing has come yet" };

  constructor({ refid, precision, description, poll = 4, stratum = 0 }: DriverOptions) {
    this.refid = refid;
    this.precision = precision;
    this.description = description;
    this.poll = poll;
    this.stratum = stratum;
  }

  /** Open the device. `gone` is called at most once for each. */
  protected abstract open(gone: (error?: Error) => void): Promise<Device>;

  get health(): RefClockHealth {
    return this.#health;
  }

  get closed(): boolean {
    return this.#closed;
  }

  [Symbol.asyncIterator](): AsyncIterator<RefClockSample> {
    if (!this.#started) void this.#open();
    this.#started = true;
    return this.#queue;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#device?.close();
    this.#device = undefined;
    this.#queue.close();
  }

  /** A sample for who follows us. */
  protected tell(sample: RefClockSample): void {
    this.#health = { state: "good", message: "" };
    this.#queue.push(sample);
  }

  /** The reference works and does not vouch for the time. */
  protected tellBad(message: string): void {
    this.#health = { state: "bad", message };
  }

  /** Something came: the next failure is a new one. */
  protected alive(): void {
    this.#waitMs = FIRST_WAIT_MS;
  }

  /** Never rejects. */
  async #open(): Promise<void> {
    const opening = ++this.#opened;
    const gone = (error?: Error) => {
      if (opening === this.#opened) this.#retry(error);
    };
    try {
      const device = await this.open(gone);
      // Closed, or gone already, while it was opened.
      if (this.#closed || opening !== this.#opened) device.close();
      else this.#device = device;
    } catch (error) {
      gone(error as Error);
    }
  }

  #retry(error: Error | undefined): void {
    if (this.#closed) return;
    this.#opened += 1;
    this.#device?.close();
    this.#device = undefined;
    this.#health = { state: "waiting", message: `${this.description}: ${error?.message ?? "the device is gone"}` };
    // What this host cannot do today it cannot do in a minute.
    if (error instanceof NtpError && (error.code === "UNSUPPORTED" || error.code === "INVALID_ARGUMENT")) return;
    this.#timer = setTimeout(() => void this.#open(), this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
  }
}
