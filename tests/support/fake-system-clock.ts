// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A system's clock in memory that runs by vitest's timers: one of the fake kernels of tests/native, and a host that lends it.
 *
 * Call `vi.useFakeTimers()` before. The kernel's time is true time (vitest's `performance`) by the rate in force, brought up to
 * date before each call into it and each reading. Used by hosts/common/clock/*.test.ts.
 *
 * @module
 */

import { vi } from "vitest";
import type { Host, HostClock } from "../../hosts/common/host.ts";
import type { HostSystemClock } from "../../hosts/common/steering.ts";
import type { CFunction, Ffi } from "../../hosts/native/ffi.ts";
import { openSystemClock as openNative } from "../../hosts/native/steer.ts";
import { FakeLinux } from "../native/steering-fake-linux.ts";
import { FakeMacos } from "../native/steering-fake-macos.ts";
import { FakeWindows } from "../native/steering-fake-windows.ts";

/** What the three kernels have in common. */
interface Kernel {
  readonly ffi: Ffi;
  pass(seconds: number): void;
  now(): bigint;
  /** Where it is slewed along, as timers are then. */
  monotonic?(): bigint;
  timerRate?(): number;
  /** The least time that it can be told has passed, s. */
  readonly tact: number;
}

const WINDOWS_EPOCH = 116_444_736_000_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

const linux = (kernel: FakeLinux): Kernel => ({
  ffi: kernel.ffi,
  pass: (seconds) => kernel.pass(seconds),
  now: () => kernel.nowNs,
  monotonic: () => kernel.monotonicNs,
  timerRate: () => 1 + (kernel.tick - 10_000) * 1e-4 + kernel.freq / 65536e6,
  tact: 0,
});
const macos = (kernel: FakeMacos): Kernel => ({ ffi: kernel.ffi, pass: (seconds) => kernel.pass(seconds), now: () => kernel.nowNs, tact: 1 });
const windows = (kernel: FakeWindows): Kernel => ({ ffi: kernel.ffi, pass: (seconds) => kernel.pass(seconds), now: () => (kernel.now - WINDOWS_EPOCH) * 100n, tact: 0 });

export class FakeSystemClock {
  readonly clock: HostClock;
  /** What is to be done when the process ends. */
  readonly atExit = new Set<() => void>();
  readonly lent: HostSystemClock;
  readonly #kernel: Kernel;
  #at = performance.now();

  constructor(kernel: FakeLinux | FakeMacos | FakeWindows) {
    const platform = kernel instanceof FakeLinux ? "linux" : kernel instanceof FakeMacos ? "darwin" : "win32";
    this.#kernel = kernel instanceof FakeLinux ? linux(kernel) : kernel instanceof FakeMacos ? macos(kernel) : windows(kernel);
    this.clock = { now: () => this.now(), monotonic: () => this.#monotonic(), precision: 1e-9, description: "fake" };
    this.lent = {
      open: () => openNative(this.#ffi(), { platform, arch: "x64" }),
      restoreOnExit: ({ restore }) => {
        this.atExit.add(restore);
        return () => this.atExit.delete(restore);
      },
    };
  }

  /** A host that lends this clock and nothing else. */
  get host(): Host {
    return { runtime: "node", version: "", clock: this.clock, random: (bytes) => bytes, systemClock: async () => this.lent };
  }

  /** The system's clock, ns since 1970. */
  now(): bigint {
    this.#follow();
    return this.#kernel.now();
  }

  /** How fast timers run against true time: Linux's are slewed along. */
  get timerRate(): number {
    return this.#kernel.timerRate?.() ?? 1;
  }

  #monotonic(): bigint {
    this.#follow();
    return this.#kernel.monotonic?.() ?? BigInt(Math.round(performance.now() * 1e6));
  }

  #follow(): void {
    const { tact } = this.#kernel;
    const passed = (performance.now() - this.#at) / 1000;
    const told = tact === 0 ? passed : Math.floor(passed / tact + 1e-9) * tact;
    this.#at += told * 1000;
    this.#kernel.pass(told);
  }

  /** Each call into the kernel finds it at the present. */
  #ffi(): Ffi {
    const { ffi } = this.#kernel;
    return {
      ...ffi,
      open: (library, symbols) => {
        const bound = ffi.open(library, symbols) as Record<string, CFunction>;
        return Object.fromEntries(Object.entries(bound).map(([name, call]) => [name, (...args) => (this.#follow(), call(...args))] satisfies [string, CFunction])) as never;
      },
    };
  }
}

/** True time, s. */
export function trueSeconds(): number {
  return performance.now() / 1000;
}

/** What a clock has gained on true time between two of its readings, s. */
export function gained(fromNs: bigint, toNs: bigint, seconds: number): number {
  const whole = BigInt(Math.floor(seconds));
  return Number(toNs - fromNs - whole * NS_PER_SECOND) / 1e9 - (seconds - Number(whole));
}

/** Timers come late, each by as many ms as `lateness` says, and run at the system's rate. Until `vi.restoreAllMocks()`. */
export function lateTimers(system: FakeSystemClock, lateness: () => number): void {
  const { setTimeout: punctual } = globalThis;
  vi.spyOn(globalThis, "setTimeout").mockImplementation(((act: () => void, ms = 0) => punctual(act, ms / system.timerRate + lateness())) as typeof setTimeout);
}
