// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Darwin kernel's NTP state behind fake ntp_adjtime, adjtime, gettimeofday and settimeofday.
 *
 * The rules are those of xnu's bsd/kern/kern_ntptime.c: what root alone may do, which status bits are kept, at what
 * speed adjtime works off its amount. A NULL delta is a fault, as it is there.
 *
 * @module
 */

import type { Ffi } from "../../hosts/native/ffi.ts";
import { fakeErrno, fakeFfi, FakeMemory } from "./steering-fake.ts";

const PLL = 0x01, UNSYNC = 0x40, FREQHOLD = 0x80, NANO = 0x2000;
const READ_ONLY = 0xff00;
/** No PPS, no leap seconds. */
const SUPPORTED = 0xf0c9;
const EPERM = 1, EFAULT = 14;
const US = 1000n;
const SECOND_US = 1_000_000n;

export class FakeMacos {
  root = true;
  nowNs = 1_800_000_000_123_456_000n;
  status = UNSYNC;
  freq = 0;
  constant = 0;
  maxerror = 500_000;
  esterror = 500_000;
  offsetNs = 0;
  adjtimeUs = 0;
  readonly ffi: Ffi;
  readonly #memory = new FakeMemory();
  readonly #errno = fakeErrno(this.#memory, "__error");

  constructor() {
    const { fail } = this.#errno;
    this.ffi = fakeFfi(this.#memory, {
      "": {
        ...this.#errno.functions,
        ntp_adjtime: (address) => this.#ntpAdjtime(this.#memory.at(address, 136)),
        adjtime: (delta, old) => {
          if (!this.root) return fail(EPERM);
          if (delta === 0) return fail(EFAULT);
          const rest = this.adjtimeUs;
          this.adjtimeUs = Number(this.#readTimeval(delta));
          if (old !== 0) this.#writeTimeval(old, BigInt(rest));
          return 0;
        },
        gettimeofday: (time) => {
          this.#writeTimeval(time, this.nowNs / US);
          return 0;
        },
        settimeofday: (time) => {
          const us = this.#readTimeval(time);
          if (!this.root || us < 0n) return fail(EPERM);
          this.nowNs = us * US;
          return 0;
        },
      },
    });
  }

  /** Let seconds of true time pass; the scale is computed anew at each one. */
  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      const size = Math.abs(this.adjtimeUs);
      const tickrate = Math.sign(this.adjtimeUs) * (size > 1_000_000 ? 5000 : Math.min(size, 500));
      const chunk = Math.trunc(this.offsetNs / 2 ** (4 + this.constant));
      this.adjtimeUs -= tickrate;
      this.offsetNs -= chunk;
      this.maxerror += 500;
      this.nowNs += 1_000_000_000n + BigInt(Math.round((this.freq / 65536) * 1000 + tickrate * 1000 + chunk));
    }
  }

  #ntpAdjtime(timex: DataView): number {
    const long = (at: number): number => Number(timex.getBigInt64(at, true));
    const modes = timex.getUint32(0, true);
    if (modes !== 0 && !this.root) return this.#errno.fail(EPERM);
    if ((modes & 0x04) !== 0) this.maxerror = long(24);
    if ((modes & 0x08) !== 0) this.esterror = long(32);
    if ((modes & 0x10) !== 0) {
      const status = timex.getInt32(40, true);
      if ((this.status & PLL) !== 0 && (status & PLL) === 0) this.status = UNSYNC;
      this.status = ((this.status & READ_ONLY) | (status & ~READ_ONLY)) & SUPPORTED;
    }
    if ((modes & 0x20) !== 0) this.constant = Math.max(0, Math.min(10, long(48)));
    if ((modes & 0x2000) !== 0) this.status |= NANO;
    if ((modes & 0x1000) !== 0) this.status &= ~NANO;
    if ((modes & 0x02) !== 0) this.freq = Math.max(-32_768_000, Math.min(32_768_000, long(16)));
    if ((modes & 0x01) !== 0 && (this.status & PLL) !== 0) {
      this.offsetNs = long(8) * ((this.status & NANO) !== 0 ? 1 : 1000);
      if ((this.status & FREQHOLD) === 0) this.freq += Math.sign(long(8));
    }
    timex.setBigInt64(8, BigInt(Math.trunc(this.offsetNs / ((this.status & NANO) !== 0 ? 1 : 1000))), true);
    timex.setBigInt64(16, BigInt(this.freq), true);
    timex.setBigInt64(24, BigInt(this.maxerror), true);
    timex.setBigInt64(32, BigInt(this.esterror), true);
    timex.setInt32(40, this.status, true);
    return (this.status & UNSYNC) !== 0 ? 5 : 0;
  }

  /** µs. A fraction that is not one is what settimeofday calls EPERM; here it is a mistake of the code under test. */
  #readTimeval(address: number | bigint | undefined): bigint {
    const view = this.#memory.at(address, 16);
    const fraction = view.getInt32(8, true);
    if (fraction < 0 || fraction >= 1_000_000) throw new Error(`tv_usec of ${fraction}`);
    return view.getBigInt64(0, true) * SECOND_US + BigInt(fraction);
  }

  #writeTimeval(address: number | bigint | undefined, us: bigint): void {
    const view = this.#memory.at(address, 16);
    const fraction = ((us % SECOND_US) + SECOND_US) % SECOND_US;
    view.setBigInt64(0, (us - fraction) / SECOND_US, true);
    view.setInt32(8, Number(fraction), true);
  }
}
