// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The system clock for steering, whatever the platform; and its restoration when the process ends.
 *
 * Tested by tests/native/steering.test.ts and tests/native/steering-exit.test.ts.
 *
 * @module
 */

import type { ClockActuator, HostSystemClock, SteeringRefusal, SystemActuator } from "../common/steering.ts";
import type { Ffi } from "./ffi.ts";
import { openLinuxActuator } from "./steer-linux.ts";
import { openMacosActuator } from "./steer-macos.ts";
import { openWindowsActuator } from "./steer-windows.ts";

type Open = (ffi: Ffi) => SystemActuator | SteeringRefusal;

const PLATFORMS: Readonly<Record<string, Open>> = {
  linux: openLinuxActuator,
  darwin: openMacosActuator,
  win32: openWindowsActuator,
};

/** 64-bit and little-endian: all layouts hold there and nowhere else. */
const ARCHITECTURES = ["x64", "arm64", "riscv64"];

/** Whether there is a clock to steer. */
export function isActuator(opened: SystemActuator | SteeringRefusal): opened is SystemActuator {
  return !("reason" in opened);
}

/** What a host with this FFI, or with none, lends of the system's clock. */
export function systemClockOf(ffi: Ffi | undefined): HostSystemClock {
  return { open: () => openSystemClock(ffi), restoreOnExit };
}

/** The system clock for steering, or why it cannot be steered. Changes nothing yet, never throws. */
export function openSystemClock(
  ffi: Ffi | undefined,
  { platform, arch }: { platform: string; arch: string } = process,
): SystemActuator | SteeringRefusal {
  const open = PLATFORMS[platform];
  if (open === undefined) return unsupported(`steering is not implemented for ${platform}`);
  if (!ARCHITECTURES.includes(arch)) return unsupported(`steering is not implemented for ${platform} on ${arch}`);
  if (ffi === undefined) return unsupported("no FFI: on Node install koffi (or run with --experimental-ffi), on Deno run with --allow-ffi");
  return open(ffi);
}

function unsupported(reason: string): SteeringRefusal {
  return { code: "UNSUPPORTED", reason };
}

/** What ends a process unless somebody listens. Not SIGQUIT: who sends it wants a core, now. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** How long a process may survive the signal that it sends itself. */
const LAST_RESORT_MS = 1000;

/** What is to be done at the end. One set and one listener for all: two listeners would each leave a signal to the other. */
const restorations = new Set<() => void>();
let uninstall: (() => void) | undefined;

/**
 * Restore the clock when the process ends: by itself, by SIGHUP, SIGINT or SIGTERM, by an error that nobody caught.
 *
 * A signal that others listen for is theirs: they end the process in their own way, and the restoration comes with its
 * exit. MUST be called in the main thread, workers hear no signals. SIGKILL and a crash of the runtime leave the clock
 * at its last rate; steer-linux.ts says what follows from that.
 *
 * @returns a function that takes it back, without restoring
 */
export function restoreOnExit(actuator: Pick<ClockActuator, "restore">): () => void {
  const restoration = (): void => {
    try {
      actuator.restore();
    } catch {
      // The process ends. What it could say, nobody would hear; the clock keeps its rate.
    }
  };
  restorations.add(restoration);
  uninstall ??= install();
  return () => {
    restorations.delete(restoration);
    if (restorations.size > 0) return;
    uninstall?.();
    uninstall = undefined;
  };
}

function restoreAll(): void {
  for (const restoration of restorations) restoration();
}

/** Deno emits no `exit` for an uncaught error, but events of its global; Node and Bun emit `exit`. */
function install(): () => void {
  const target = globalThis as Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">>;
  const events = "Deno" in globalThis ? ["error", "unhandledrejection"] : [];
  for (const event of events) target.addEventListener?.(event, restoreAll);
  process.on("exit", restoreAll);
  const signals = Object.keys(SIGNALS).map((signal) => onSignal(signal as keyof typeof SIGNALS));
  return () => {
    for (const event of events) target.removeEventListener?.(event, restoreAll);
    process.removeListener("exit", restoreAll);
    for (const remove of signals) remove();
  };
}

/** To listen for a signal is to forgo its effect, so it is sent again after the restoration: the parent sees the truth. */
function onSignal(signal: keyof typeof SIGNALS): () => void {
  const handle = (): void => {
    if (process.listenerCount(signal) > 1) return;
    restoreAll();
    remove();
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(128 + SIGNALS[signal]), LAST_RESORT_MS);
  };
  const remove = (): void => {
    process.removeListener(signal, handle);
  };
  process.on(signal, handle);
  return remove;
}
