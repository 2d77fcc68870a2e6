// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The system clock of Windows 10, Server 2016 and later: SetSystemTimeAdjustmentPrecise for the rate, SetSystemTime for
 * steps.
 *
 * Rate: Get… tells a nominal clock update frequency (the "increment", in practice the performance counter's
 * 10 MHz) and the adjusted one in force; their ratio is the clock's rate, in steps of 0.1 ppm at 10 MHz. While the
 * adjustment is "disabled" Windows goes its own way and the adjustment counts for nothing. Microsoft's sample takes
 * more than 1000 ppm for a mistake; so does this file.
 *
 * Steps: SetSystemTime takes whole milliseconds. So the step is made at the moment when the new time is one: up to 1 ms
 * of reading the clock, for an error of a few µs.
 *
 * Both need the privilege SeSystemtimePrivilege, which administrators and services have but which is off by default.
 * Windows keeps no status and no leap flag for others to read. The service W32Time would fight: stop it first
 * (`sc stop w32time`).
 *
 * Not yet run on hardware. Tested by tests/native/steering-windows.test.ts against a fake kernel.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import type { SteeringRefusal, SystemActuator, SystemClockStatus } from "../common/steering.ts";
import type { CFunction, Ffi, Signature } from "./ffi.ts";
import { Block } from "./memory.ts";
import { clampRate, steeringError } from "./steer-common.ts";
import { enablePrivilege } from "./steer-windows-privilege.ts";

const MAXIMUM_RATE = 1000e-6;

/** 1601 to 1970 in ms. */
const FILETIME_EPOCH_MS = 11_644_473_600_000n;
/** FILETIME counts 100 ns. */
const UNITS_PER_MS = 10_000n;
/** A clock that does not come to its next millisecond within so many readings (≥ 20 ns each) stands still. */
const MAXIMUM_READINGS = 1_000_000;

const CLOCK = {
  GetSystemTimePreciseAsFileTime: ["void", "pointer"],
  SetSystemTime: ["i32", "pointer"],
  GetLastError: ["u32"],
} as const satisfies Record<string, Signature>;

const ADJUSTMENT = {
  GetSystemTimeAdjustmentPrecise: ["i32", "pointer", "pointer", "pointer"],
  SetSystemTimeAdjustmentPrecise: ["i32", "u64", "i32"],
} as const satisfies Record<string, Signature>;

/** The API set is what Microsoft documents; where a loader does not know API sets, the DLL behind it. */
const ADJUSTMENT_LIBRARIES = ["api-ms-win-core-sysinfo-l1-2-4.dll", "kernelbase.dll"];

interface Adjustment {
  /** In force, unless disabled. */
  readonly adjustment: bigint;
  /** Nominal. */
  readonly increment: bigint;
  readonly disabled: boolean;
}

type Functions = Record<keyof typeof CLOCK | keyof typeof ADJUSTMENT, CFunction>;

/** The clock for steering, or why it cannot be steered. Changes only a privilege of this process; never throws. */
export function openWindowsActuator(ffi: Ffi): SystemActuator | SteeringRefusal {
  try {
    const permitted = enablePrivilege(ffi, "SeSystemtimePrivilege");
    const clock = new WindowsActuator(ffi, { ...ffi.open("kernel32.dll", CLOCK), ...openAdjustment(ffi) });
    if (permitted) return clock;
    const reason = "SeSystemtimePrivilege is not held: run as administrator or as a service with this privilege";
    return { code: "CLOCK", reason, read: () => clock.read() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { code: "UNSUPPORTED", reason: `SetSystemTimeAdjustmentPrecise cannot be used (Windows 10 and later have it): ${message}` };
  }
}

function openAdjustment(ffi: Ffi): Record<keyof typeof ADJUSTMENT, CFunction> {
  let failure: unknown;
  for (const library of ADJUSTMENT_LIBRARIES) {
    try {
      return ffi.open(library, ADJUSTMENT);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

class WindowsActuator implements SystemActuator {
  readonly maximumSlew = MAXIMUM_RATE;
  readonly maximumFrequency = MAXIMUM_RATE;
  readonly insertsLeapSeconds = false;
  readonly keepsStatus = false;
  readonly rateInterval = 0;
  readonly slewsMonotonic = false;
  readonly description: string;
  readonly #c: Functions;
  /** Two 64-bit numbers and a BOOL; or a FILETIME or SYSTEMTIME. */
  readonly #block: Block;
  readonly #found: Adjustment;
  #steering = false;

  constructor(ffi: Ffi, functions: Functions) {
    this.description = `SetSystemTimeAdjustmentPrecise (${ffi.name})`;
    this.#c = functions;
    this.#block = new Block(ffi, 24);
    this.#found = this.#read();
    if (this.#found.increment === 0n) throw new Error("the clock's nominal frequency is 0");
  }

  rate(): number {
    const { adjustment, increment, disabled } = this.#read();
    return disabled ? 0 : Number(adjustment - increment) / Number(increment);
  }

  read(): SystemClockStatus {
    return { ratePpm: this.rate() * 1e6 };
  }

  setRate(rate: number): void {
    const { increment } = this.#found;
    const change = Math.round(clampRate(rate, MAXIMUM_RATE) * Number(increment));
    this.#steering = true;
    this.#write({ adjustment: increment + BigInt(change), disabled: false });
  }

  step(offsetNs: bigint): void {
    if (offsetNs === 0n) return;
    const offset = (offsetNs + (offsetNs < 0n ? -50n : 50n)) / 100n;
    const edge = (this.#now() + offset) / UNITS_PER_MS + 1n;
    for (let i = 0; this.#now() + offset < edge * UNITS_PER_MS; i++) {
      if (i === MAXIMUM_READINGS) throw steeringError("SetSystemTime", new Error("the clock stands still"));
    }
    writeSystemTime(this.#block, edge - FILETIME_EPOCH_MS);
    if (this.#c.SetSystemTime(this.#block.address) === 0) throw this.#failure("SetSystemTime");
  }

  /** Windows has nobody to tell. */
  setStatus(): void {}

  restore(): void {
    if (!this.#steering) return;
    this.#write(this.#found);
    this.#steering = false;
  }

  #now(): bigint {
    this.#c.GetSystemTimePreciseAsFileTime(this.#block.address);
    return this.#block.view.getBigUint64(0, true);
  }

  #read(): Adjustment {
    const { address, view } = this.#block;
    if (this.#c.GetSystemTimeAdjustmentPrecise(address, address + 8, address + 16) === 0) {
      throw this.#failure("GetSystemTimeAdjustmentPrecise");
    }
    return {
      adjustment: view.getBigUint64(0, true),
      increment: view.getBigUint64(8, true),
      disabled: view.getInt32(16, true) !== 0,
    };
  }

  #write({ adjustment, disabled }: Pick<Adjustment, "adjustment" | "disabled">): void {
    if (this.#c.SetSystemTimeAdjustmentPrecise(adjustment, disabled ? 1 : 0) === 0) {
      throw this.#failure("SetSystemTimeAdjustmentPrecise");
    }
  }

  #failure(call: string): NtpError {
    return steeringError(call, new Error(`Windows error ${this.#c.GetLastError()}`));
  }
}

/** SYSTEMTIME: eight u16: year, month from 1, day of the week, day, hour, minute, second, millisecond; UTC. */
function writeSystemTime({ view }: Block, unixMs: bigint): void {
  const date = new Date(Number(unixMs));
  const fields = [
    date.getUTCFullYear(),
    date.getUTCMonth() + 1,
    date.getUTCDay(),
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    date.getUTCMilliseconds(),
  ];
  fields.forEach((field, index) => view.setUint16(index * 2, field, true));
}
