// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Linux kernel's NTP state behind a fake clock_adjtime: structure in, state out, and seconds that pass.
 *
 * The rules are those of kernel/time/ntp.c of Linux 6: which request is refused and why, which flag clears what, what
 * goes on slewing, when a leap second is armed and when it is forgotten. The structure is read and written by offset,
 * not by the code under test.
 *
 * @module
 */

import type { CFunction, Ffi } from "../../hosts/native/ffi.ts";
import { fakeErrno, fakeFfi, FakeMemory } from "./steering-fake.ts";

const PLL = 0x01, PPSFREQ = 0x02, PPSTIME = 0x04, PPSSIGNAL = 0x0100, INS = 0x10, DEL = 0x20, UNSYNC = 0x40, FREQHOLD = 0x80, NANO = 0x2000;
const READ_ONLY = 0xff00;
const EPERM = 1, EINVAL = 22;
const LIMIT_US = 16_000_000;
const DAY = 86_400n;
const NS = 1_000_000_000n;

export class FakeLinux {
  /** CAP_SYS_TIME. */
  privileged = true;
  /** Wall clock, ns; the oscillator is perfect. */
  nowNs = 1_800_000_000n * NS;
  /** CLOCK_MONOTONIC, ns: slewed along, never stepped. */
  monotonicNs = 1_000n * NS;
  status = UNSYNC;
  /** 2^-16 ppm. */
  freq = 0;
  tick = 10_000;
  constant = 2;
  maxerror = LIMIT_US;
  esterror = LIMIT_US;
  /** The PLL's remaining offset, ns. */
  offsetNs = 0;
  /** adjtime's rest, µs. */
  adjtimeUs = 0;
  /** TAI − UTC, s. */
  tai = 0;
  state: "OK" | "INS" | "DEL" | "OOP" | "WAIT" = "OK";
  nextLeap: bigint | undefined;
  leaps = 0;
  /** Every call's modes. */
  readonly calls: number[] = [];
  readonly ffi: Ffi;
  /** Of the second in progress. */
  #part = 0;
  readonly #memory = new FakeMemory();
  readonly #errno = fakeErrno(this.#memory, "__errno_location");

  constructor() {
    const clock_adjtime: CFunction = (clock, address) => (clock === 0 ? this.#adjtime(address) : this.#errno.fail(EINVAL));
    this.ffi = fakeFfi(this.#memory, { "": { ...this.#errno.functions, clock_adjtime } });
  }

  /** Let seconds of true time pass. What happens once a second happens at the end of each. */
  pass(seconds: number): void {
    for (let left = seconds; left > 0; left -= 1) this.#passPart(Math.min(1, left));
  }

  #passPart(part: number): void {
    const rateNs = (this.tick - 10_000) * 100_000 + (this.freq / 65536) * 1000;
    this.#part += part;
    const over = this.#part >= 1;
    this.#gain(part * (1e9 + rateNs) + (over ? this.#slewed() : 0));
    if (!over) return;
    this.#part -= 1;
    this.#secondOverflow(this.nowNs / NS);
  }

  #gain(ns: number): void {
    const whole = BigInt(Math.round(ns));
    this.nowNs += whole;
    this.monotonicNs += whole;
  }

  /** What the kernel's loop and adjtime add in a second, ns. */
  #slewed(): number {
    const chunk = Math.trunc(this.offsetNs / 2 ** (2 + this.constant));
    const adjust = Math.sign(this.adjtimeUs) * Math.min(500, Math.abs(this.adjtimeUs));
    this.offsetNs -= chunk;
    this.adjtimeUs -= adjust;
    return chunk + adjust * 1000;
  }

  #secondOverflow(second: bigint): void {
    if (this.state === "OK" && (this.status & (INS | DEL)) !== 0) {
      this.state = (this.status & INS) !== 0 ? "INS" : "DEL";
      this.nextLeap = (second / DAY + 1n) * DAY - (this.state === "DEL" ? 1n : 0n);
    } else if (this.state === "INS" || this.state === "DEL") {
      if ((this.status & (this.state === "INS" ? INS : DEL)) === 0) {
        this.state = "OK";
        this.nextLeap = undefined;
      } else if (this.nextLeap !== undefined && second >= this.nextLeap) {
        this.nowNs += this.state === "INS" ? -NS : NS;
        this.state = this.state === "INS" ? "OOP" : "WAIT";
        this.nextLeap = undefined;
        this.leaps += 1;
      }
    } else if (this.state === "OOP") {
      this.state = "WAIT";
    } else if (this.state === "WAIT" && (this.status & (INS | DEL)) === 0) {
      this.state = "OK";
    }
    this.maxerror += 500;
    if (this.maxerror > LIMIT_US) {
      this.maxerror = LIMIT_US;
      this.status |= UNSYNC;
    }
  }

  #adjtime(address: number | bigint | undefined): number {
    const timex = this.#memory.at(address, 208);
    const long = (at: number): number => Number(timex.getBigInt64(at, true));
    const modes = timex.getUint32(0, true);
    this.calls.push(modes);
    if ((modes & 0x8000) !== 0) {
      if ((modes & 1) === 0) return this.#errno.fail(EINVAL);
      if ((modes & 0x2000) === 0 && !this.privileged) return this.#errno.fail(EPERM);
      const rest = this.adjtimeUs;
      if ((modes & 0x2000) === 0) this.adjtimeUs = long(8);
      this.#answer(timex, rest);
      return 0;
    }
    if (modes !== 0 && !this.privileged) return this.#errno.fail(EPERM);
    if ((modes & 0x4000) !== 0 && (long(88) < 9000 || long(88) > 11_000)) return this.#errno.fail(EINVAL);
    if ((modes & 0x0100) !== 0 && !this.#step(long(72), long(80), (modes & 0x2000) !== 0)) return this.#errno.fail(EINVAL);
    if ((modes & 0x0010) !== 0) this.#setStatus(timex.getInt32(40, true));
    if ((modes & 0x2000) !== 0) this.status |= NANO;
    if ((modes & 0x1000) !== 0) this.status &= ~NANO;
    if ((modes & 0x0002) !== 0) this.freq = Math.max(-32_768_000, Math.min(32_768_000, long(16)));
    if ((modes & 0x0004) !== 0) this.maxerror = Math.max(0, Math.min(LIMIT_US, long(24)));
    if ((modes & 0x0008) !== 0) this.esterror = Math.max(0, Math.min(LIMIT_US, long(32)));
    if ((modes & 0x0020) !== 0) this.constant = Math.min(10, long(48) + ((this.status & NANO) !== 0 ? 0 : 4));
    if ((modes & 0x0001) !== 0) this.#setOffset(long(8));
    if ((modes & 0x4000) !== 0) this.tick = long(88);
    this.#answer(timex, (this.status & NANO) !== 0 ? this.offsetNs : Math.trunc(this.offsetNs / 1000));
    return this.#isError() ? 5 : ["OK", "INS", "DEL", "OOP", "WAIT"].indexOf(this.state);
  }

  /** is_error_status(), the part of it that a test needs: pulses that are to be followed and do not come. */
  #isError(): boolean {
    return (this.status & UNSYNC) !== 0 || ((this.status & (PPSFREQ | PPSTIME)) !== 0 && (this.status & PPSSIGNAL) === 0);
  }

  /** ADJ_SETOFFSET, and ntp_clear() that comes with it. */
  #step(seconds: number, fraction: number, nano: boolean): boolean {
    const unit = nano ? 1 : 1000;
    if (fraction < 0 || fraction * unit >= 1e9) return false;
    const next = this.nowNs + BigInt(seconds) * NS + BigInt(fraction * unit);
    if (next < 0n) return false;
    this.nowNs = next;
    this.adjtimeUs = 0;
    this.offsetNs = 0;
    this.status |= UNSYNC;
    this.maxerror = LIMIT_US;
    this.esterror = LIMIT_US;
    this.nextLeap = undefined;
    return true;
  }

  #setStatus(status: number): void {
    if ((this.status & PLL) !== 0 && (status & PLL) === 0) {
      this.state = "OK";
      this.status = (this.status & NANO) | UNSYNC;
      this.nextLeap = undefined;
    }
    this.status = (this.status & READ_ONLY) | (status & ~READ_ONLY);
  }

  /** ntp_update_offset(): ignored without STA_PLL; its effect on the frequency only in sign. */
  #setOffset(value: number): void {
    if ((this.status & PLL) === 0) return;
    this.offsetNs = (this.status & NANO) !== 0 ? value : value * 1000;
    if ((this.status & FREQHOLD) === 0) this.freq += Math.sign(value);
  }

  #answer(timex: DataView, offset: number): void {
    const long = (at: number, value: number | bigint): void => timex.setBigInt64(at, BigInt(value), true);
    const fraction = this.nowNs % NS;
    long(8, offset);
    long(16, this.freq);
    long(24, this.maxerror);
    long(32, this.esterror);
    timex.setInt32(40, this.status, true);
    long(48, this.constant);
    long(56, 1);
    long(64, 32_768_000);
    long(72, this.nowNs / NS);
    long(80, (this.status & NANO) !== 0 ? fraction : fraction / 1000n);
    long(88, this.tick);
    timex.setInt32(160, this.tai, true);
  }
}
