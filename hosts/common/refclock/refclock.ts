// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a reference clock is: samples, one after the other, and what is to be known about where they come from.
 *
 * Drivers of this folder implement {@link RefClock}; so may anybody, and give it to the engine as a source. It only reads:
 * filtering, numbering of pulses, selection and steering are the core's (assembly/association/refclock.ts).
 * Tested in hosts/common/client/refclock-runner.test.ts.
 *
 * @module
 */

/** One comparison of the reference with the clock of this host. */
export interface RefClockSample {
  /**
   * What the reference said, ns since 1970. Of a pulse only the part below a second counts: 0 for one that marks whole
   * seconds.
   */
  readonly timeNs: bigint;
  /** What the host's wall clock (`host.clock.now()`) read at that very moment. */
  readonly receivedNs: bigint;
  /** How wrong it may be at most, s: what no averaging takes away. The scatter of the samples is measured, not declared. */
  readonly dispersion: number;
  /** It marks the beginning of a second, but not of which. */
  readonly pulse?: boolean;
  /** What the reference says of itself, 0 (worst) to 1 (best); for people. */
  readonly quality?: number;
  /** "bad": the reference works, but does not vouch for the time (no fix); the sample is counted and not used. */
  readonly health?: "good" | "bad";
  /** 1: the last minute of the month has 61 seconds; 2: 59; 3: the reference is not synchronised. */
  readonly leap?: 0 | 1 | 2 | 3;
}

/** How a reference clock fares. */
export interface RefClockHealth {
  /** "waiting": nothing has come yet, or nothing comes any more. */
  readonly state: "good" | "bad" | "waiting";
  /** In words: "no fix", "expected a device at /dev/pps0, got ENOENT". */
  readonly message: string;
}

/** A reference clock. Iterated once; the iteration ends when it is closed, and otherwise never: whatever fails is tried again. */
export interface RefClock extends AsyncIterable<RefClockSample> {
  /** Up to four ASCII characters: "GPS", "PPS" (RFC 5905 §7.3). */
  readonly refid: string;
  /** Its own stratum; 0, the origin of time, makes us stratum 1. */
  readonly stratum: number;
  /** log2 s between measurements. */
  readonly poll: number;
  /** What it can be read to, s. */
  readonly precision: number;
  /** The device, for people. */
  readonly description: string;
  readonly health: RefClockHealth;
  /** Idempotent. */
  close(): void;
}

/** How a reference clock is followed. All times in seconds. */
export interface RefClockTuning {
  /** What others lock to. Default: its refid. */
  readonly name?: string;
  /** Another refid than the driver's own. */
  readonly refid?: string;
  /** Added to what it says: how late its samples are (ntpd's fudge time). Default 0. */
  readonly offset?: number;
  /** The delay of its way to us; half of it counts as doubt. Default 0. */
  readonly delay?: number;
  /** Doubt of each sample, where the driver's own is not the right one. */
  readonly dispersion?: number;
  /** What it can be read to, where the driver's own is not the right one. */
  readonly precision?: number;
  /** log2 s between measurements, 0..10. */
  readonly poll?: number;
  readonly stratum?: number;
  /** Where it is among those that agree, others that are not preferred do not steer. */
  readonly prefer?: boolean;
  /** It numbers another one's pulses and has no say of its own. */
  readonly noselect?: boolean;
  /** Whoever numbers its pulses, by name. Default: our own clock, once others have set it. */
  readonly lock?: string;
  /** How long it counts after it has fallen silent, s, at most 8192. Default: eight of its polls. */
  readonly holdover?: number;
}

/** Between a driver that pushes and an engine that pulls. At most `limit` samples wait; the oldest go first. */
export class SampleQueue implements AsyncIterableIterator<RefClockSample> {
  readonly #limit: number;
  readonly #waiting: RefClockSample[] = [];
  #reader: ((result: IteratorResult<RefClockSample>) => void) | undefined;
  #closed = false;
  readonly #onReturn: () => void;

  constructor(onReturn: () => void = () => {}, limit = 64) {
    this.#onReturn = onReturn;
    this.#limit = limit;
  }

  push(sample: RefClockSample): void {
    if (this.#closed) return;
    if (this.#reader) {
      const reader = this.#reader;
      this.#reader = undefined;
      return reader({ value: sample, done: false });
    }
    this.#waiting.push(sample);
    if (this.#waiting.length > this.#limit) this.#waiting.shift();
  }

  close(): void {
    this.#closed = true;
    this.#waiting.length = 0;
    this.#reader?.({ value: undefined, done: true });
    this.#reader = undefined;
  }

  next(): Promise<IteratorResult<RefClockSample>> {
    const value = this.#waiting.shift();
    if (value) return Promise.resolve({ value, done: false });
    if (this.#closed) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => (this.#reader = resolve));
  }

  return(): Promise<IteratorResult<RefClockSample>> {
    this.close();
    this.#onReturn();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
