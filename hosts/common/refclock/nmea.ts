// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A GNSS receiver on a serial line: octets in, samples out. The core reads the sentences (assembly/proto/nmea.ts).
 *
 * A sample's moment is when the first octet of its sentence came, not when the sentence was complete or read. Of a backlog
 * (several seconds' sentences at once, after the process was held up) nothing is used, nor of what the line held when it was
 * opened: nobody knows when it came.
 * Tested in assembly/proto/nmea.test.ts, on serial lines in tests/interop/refclock.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { Core } from "../core/core.ts";
import type { Device, OpenSerial } from "./devices.ts";
import { Driver } from "./driver.ts";

/** The sentences that can be taken for the time, and their numbers in the core. */
const SENTENCES = { RMC: 1, ZDA: 2, GGA: 3, GLL: 4 } as const;
export type NmeaSentence = keyof typeof SENTENCES;

export interface NmeaOptions {
  readonly path: string;
  /** Default: as the line is set. */
  readonly baud?: number | undefined;
  /** Which sentence is the time; default: the first of each second. */
  readonly sentence?: NmeaSentence | undefined;
  /** What is not known of when the sentence comes within the second, s. */
  readonly dispersion: number;
  /** Dates before this one are moved on by as many 1024 weeks as it takes, days since 1970. Default: 2026-01-01. */
  readonly floor?: number | undefined;
}

/** What was read, for people and tests. */
export interface NmeaCounts {
  times: number;
  noFix: number;
  noDate: number;
  repeated: number;
  other: number;
  checksum: number;
  field: number;
  garbled: number;
  backlog: number;
}

const WORDS = ["times", "noFix", "noDate", "repeated", "other", "checksum", "field", "garbled"] as const;
const TIME = 1;
const NO_FIX = 2;
/** Longer than any burst of one second; of a longer piece only the end is looked at. */
const PIECE = 4096;

/** A time that a sentence told, and when its first octet came. */
export interface NmeaTime {
  readonly timeNs: bigint;
  readonly receivedNs: bigint;
}

/** Octets to times. One for each receiver. */
export class NmeaReader {
  readonly counts: NmeaCounts = { times: 0, noFix: 0, noDate: 0, repeated: 0, other: 0, checksum: 0, field: 0, garbled: 0, backlog: 0 };
  readonly #core = new Core();
  readonly #scratch = this.#core.constant("SCRATCH");
  readonly #at: Record<"VERDICT" | "BEGUN" | "UNIX_NS", number>;
  #begunNs = 0n;
  /** Whether the last sentence that told of it had a fix. */
  fix: boolean | undefined;

  constructor({ sentence, floor = 0 }: Pick<NmeaOptions, "sentence" | "floor"> = {}) {
    const { exports } = this.#core;
    exports.nmeaStart(sentence ? 1 << SENTENCES[sentence] : 0, floor);
    const at = (name: string) => exports.nmeaOut() + this.#core.constant(`NMEA_AT_${name}`);
    this.#at = { VERDICT: at("VERDICT"), BEGUN: at("BEGUN"), UNIX_NS: at("UNIX_NS") };
  }

  /** The line was interrupted. */
  interrupt(): void {
    this.#core.exports.nmeaBreak();
  }

  /** Octets that came at `receivedNs`; the time that they tell, if any. */
  push(data: Uint8Array, receivedNs: bigint): NmeaTime | undefined {
    const { exports, bytes, view } = this.#core;
    if (data.length > PIECE) this.interrupt();
    const piece = data.subarray(Math.max(0, data.length - PIECE));
    bytes.set(piece, this.#scratch);
    const times: NmeaTime[] = [];
    for (let done = 0; done < piece.length; ) {
      done += exports.nmeaPush(this.#scratch + done, piece.length - done);
      if (view.getInt32(this.#at.BEGUN, true)) this.#begunNs = receivedNs;
      const verdict = view.getInt32(this.#at.VERDICT, true);
      if (verdict === 0) continue;
      this.counts[WORDS[verdict - 1]!] += 1;
      if (verdict === TIME || verdict === NO_FIX) this.fix = verdict === TIME;
      if (verdict === TIME) times.push({ timeNs: view.getBigInt64(this.#at.UNIX_NS, true), receivedNs: this.#begunNs });
    }
    if (times.length <= 1) return times[0];
    this.counts.backlog += times.length;
    return undefined;
  }
}

/** The serial line of a receiver as a reference clock. */
export class NmeaClock extends Driver {
  readonly reader: NmeaReader;
  readonly #openSerial: OpenSerial;
  readonly #options: NmeaOptions;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #settled = false;

  constructor(openSerial: OpenSerial | undefined, options: NmeaOptions) {
    if (!openSerial) throw new NtpError("UNSUPPORTED", `expected a host with serial lines for ${options.path}, got one without; run it on Node, Deno or Bun on Linux`);
    super({ refid: "GPS", precision: 1e-3, description: options.path });
    this.#openSerial = openSerial;
    this.#options = options;
    this.reader = new NmeaReader(options);
  }

  protected async open(gone: (error?: Error) => void): Promise<Device> {
    const { path, baud } = this.#options;
    this.#settled = false;
    const device = await this.#openSerial({ path, baud }, {
      onData: (data, receivedNs) => this.#take(data, receivedNs),
      onEnd: (error) => {
        clearTimeout(this.#silence);
        gone(error);
      },
    });
    this.#watch();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => (this.#settled = true), SETTLING_MS);
    return device;
  }

  override close(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#settling);
    super.close();
  }

  /** A receiver that says nothing is as good as none. */
  #watch(): void {
    clearTimeout(this.#silence);
    if (!this.closed) this.#silence = setTimeout(() => this.tellBad("nothing has come for 5 s: is the receiver connected, and the speed right?"), SILENCE_MS);
  }

  #take(data: Uint8Array, receivedNs: bigint): void {
    this.#watch();
    // What waited in the line since before it was opened came nobody knows when.
    if (!this.#settled) return this.reader.interrupt();
    const time = this.reader.push(data, receivedNs);
    if (time) {
      this.alive();
      this.tell({ ...time, dispersion: this.#options.dispersion, health: "good" });
    } else if (this.reader.fix === false) {
      this.tellBad("the receiver has no fix");
    }
  }
}

const SILENCE_MS = 5000;
/** What a line held back is handed over as soon as it is read. */
const SETTLING_MS = 250;
