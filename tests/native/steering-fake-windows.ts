// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Windows kernel behind fake functions of kernel32, advapi32 and the API set of the precise clock adjustment.
 *
 * Modelled after Microsoft's reference: privileges are held but off, AdjustTokenPrivileges succeeds whether or not the
 * privilege is held, an adjustment counts only while it is not disabled, SetSystemTime takes milliseconds.
 *
 * @module
 */

import type { CFunction, Ffi } from "../../hosts/native/ffi.ts";
import { fakeFfi, FakeMemory } from "./steering-fake.ts";

const ERROR_INVALID_PARAMETER = 87, ERROR_PRIVILEGE_NOT_HELD = 1314;
const LUID_OF_SYSTEMTIME = 12;
const TOKEN = 0x1a4;
const EPOCH_100NS = 116_444_736_000_000_000n;

export class FakeWindows {
  /** Whether the token has the privilege at all. */
  held = true;
  enabled = false;
  /** 100 ns since 1601. */
  now = EPOCH_100NS + 18_000_000_001_234_567n;
  /** What a reading costs, in 100 ns. */
  readingCost = 1n;
  increment = 10_000_000n;
  adjustment = 10_000_000n;
  disabled = true;
  openHandles = 0;
  lastError = 0;
  readonly ffi: Ffi;
  /** What is too little to be told, in 100 ns. */
  #rest = 0;
  readonly #memory = new FakeMemory();

  constructor(apiSet = "api-ms-win-core-sysinfo-l1-2-4.dll") {
    this.ffi = fakeFfi(this.#memory, {
      "kernel32.dll": this.#kernel32(),
      "advapi32.dll": this.#advapi32(),
      [apiSet]: this.#adjusting(),
    });
  }

  /** Let seconds of true time pass. */
  pass(seconds: number): void {
    const rate = this.disabled ? 1 : Number(this.adjustment) / Number(this.increment);
    const units = seconds * 1e7 * rate + this.#rest;
    this.#rest = units - Math.round(units);
    this.now += BigInt(Math.round(units));
  }

  #fail(error: number): 0 {
    this.lastError = error;
    return 0;
  }

  #kernel32(): Record<string, CFunction> {
    return {
      GetLastError: () => this.lastError,
      CloseHandle: (handle) => {
        if (handle !== TOKEN) throw new Error(`closing ${handle}`);
        this.openHandles -= 1;
        return 1;
      },
      GetSystemTimePreciseAsFileTime: (address) => {
        this.now += this.readingCost;
        this.#memory.at(address, 8).setBigUint64(0, this.now, true);
        return 0;
      },
      SetSystemTime: (address) => {
        if (!this.enabled) return this.#fail(ERROR_PRIVILEGE_NOT_HELD);
        const view = this.#memory.at(address, 16);
        const [year, month, weekday, ...rest] = Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2, true));
        const ms = Date.UTC(year as number, (month as number) - 1, ...(rest as [number, number, number, number, number]));
        if ((year as number) < 1601 || new Date(ms).getUTCDay() !== weekday) return this.#fail(ERROR_INVALID_PARAMETER);
        this.now = BigInt(ms) * 10_000n + EPOCH_100NS;
        return 1;
      },
    };
  }

  #advapi32(): Record<string, CFunction> {
    return {
      LookupPrivilegeValueW: (_system, name, luid) => {
        const wide = this.#memory.at(name, 44);
        const text = String.fromCharCode(...Array.from({ length: 22 }, (_, i) => wide.getUint16(i * 2, true)));
        if (text !== "SeSystemtimePrivilege\0") return this.#fail(1313);
        this.#memory.at(luid, 8).setBigUint64(0, BigInt(LUID_OF_SYSTEMTIME), true);
        return 1;
      },
      OpenProcessToken: (process, access, handle) => {
        if (Number(process) !== -1 || access !== 0x28) return this.#fail(ERROR_INVALID_PARAMETER);
        this.#memory.at(handle, 8).setBigInt64(0, BigInt(TOKEN), true);
        this.openHandles += 1;
        return 1;
      },
      AdjustTokenPrivileges: (token, all, wanted) => {
        const view = this.#memory.at(wanted, 16);
        if (token !== TOKEN || all !== 0 || view.getUint32(0, true) !== 1) return this.#fail(ERROR_INVALID_PARAMETER);
        const named = view.getUint32(4, true) === LUID_OF_SYSTEMTIME && view.getInt32(8, true) === 0;
        if (named && this.held) this.enabled = view.getUint32(12, true) === 2;
        return 1;
      },
      PrivilegeCheck: (token, set, result) => {
        const view = this.#memory.at(set, 20);
        if (token !== TOKEN || view.getUint32(0, true) !== 1) return this.#fail(ERROR_INVALID_PARAMETER);
        const on = view.getUint32(8, true) === LUID_OF_SYSTEMTIME && this.enabled;
        this.#memory.at(result, 4).setInt32(0, on ? 1 : 0, true);
        return 1;
      },
    };
  }

  #adjusting(): Record<string, CFunction> {
    return {
      GetSystemTimeAdjustmentPrecise: (adjustment, increment, disabled) => {
        this.#memory.at(adjustment, 8).setBigUint64(0, this.adjustment, true);
        this.#memory.at(increment, 8).setBigUint64(0, this.increment, true);
        this.#memory.at(disabled, 4).setInt32(0, this.disabled ? 1 : 0, true);
        return 1;
      },
      SetSystemTimeAdjustmentPrecise: (adjustment, disabled) => {
        if (!this.enabled) return this.#fail(ERROR_PRIVILEGE_NOT_HELD);
        this.disabled = disabled !== 0;
        this.adjustment = this.disabled ? this.increment : BigInt(adjustment as bigint);
        return 1;
      },
    };
  }
}
