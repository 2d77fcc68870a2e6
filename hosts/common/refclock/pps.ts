// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A pulse a second (RFC 2783) as a reference clock. The kernel stamps it; which second it begins, the core finds out
 * (assembly/association/refclock-number.ts). Tested in hosts/native/pps.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Device, Pulse, PulseEdge, RefClockDevices } from "./devices.ts";
import { Driver } from "./driver.ts";

export interface PpsClockOptions {
  readonly path: string;
  /** The edge that marks the second. Default "assert". */
  readonly edge?: PulseEdge | undefined;
  /** See the other edge as well: how long a pulse lasts tells whether the right one was chosen. Default false. */
  readonly both?: boolean | undefined;
  /** What is not known of the pulse's lateness, s. */
  readonly dispersion: number;
}

/** No pulse for this long: the antenna, or the cable. */
const SILENCE_MS = 3000;
/** Receivers give short pulses: a longer one was seen from its end. */
const LONGEST_PULSE = 0.5;

export class PpsClock extends Driver {
  /** Pulses that the kernel counted and we were not told of. */
  missed = 0;
  /** How long the last pulse lasted, s; only where both edges are seen. */
  width: number | undefined;
  readonly #devices: RefClockDevices;
  readonly #options: PpsClockOptions;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #last: Pulse | undefined;

  constructor(devices: RefClockDevices, options: PpsClockOptions) {
    super({ refid: "PPS", precision: 1e-9, description: options.path });
    this.#devices = devices;
    this.#options = options;
  }

  protected async open(gone: (error?: Error) => void): Promise<Device> {
    const { openPps } = this.#devices;
    if (!openPps) throw new NtpError("UNSUPPORTED", "expected a host with kernel pulses (RFC 2783), got one without; they need FFI on 64-bit Linux");
    const { path, edge = "assert", both = false } = this.#options;
    this.#last = undefined;
    const device = await openPps({ path, edges: both ? ["assert", "clear"] : [edge] }, (pulse) => this.#take(pulse, edge), gone);
    this.#watch();
    return device;
  }

  override close(): void {
    clearTimeout(this.#silence);
    super.close();
  }

  #watch(): void {
    clearTimeout(this.#silence);
    if (!this.closed) this.#silence = setTimeout(() => this.tellBad("no pulse has come for 3 s"), SILENCE_MS);
  }

  #take(pulse: Pulse, edge: PulseEdge): void {
    if (pulse.edge !== edge) return this.#measure(pulse);
    // The kernel's number is of 32 bits and wraps.
    const skipped = this.#last ? (pulse.sequence - this.#last.sequence - 1) >>> 0 : 0;
    this.missed += skipped < 0x80000000 ? skipped : 0;
    this.#last = pulse;
    this.alive();
    this.#watch();
    this.tell({ timeNs: 0n, receivedNs: pulse.atNs, pulse: true, dispersion: this.#options.dispersion, health: "good" });
    if (this.width !== undefined && this.width > LONGEST_PULSE) {
      this.tellBad(`the pulses seem to last ${this.width.toFixed(1)} s: is the second marked by the other edge?`);
    }
  }

  #measure({ atNs }: Pulse): void {
    if (!this.#last) return;
    const width = Number(atNs - this.#last.atNs) / 1e9;
    if (width > 0 && width < 1) this.width = width;
  }
}
