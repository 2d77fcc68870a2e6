// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock that the daemon steers: the system's, where it was asked for and may be steered, else a virtual one.
 *
 * @module
 */

import { steeredSystem, steeredVirtual, type SteeredClock } from "../hosts/common/clock/steered.ts";
import type { Host } from "../hosts/common/host.ts";
import type { Ffi } from "../hosts/native/ffi.ts";
import { isActuator, openSystemClock, restoreOnExit } from "../hosts/native/steer.ts";
import type { ClockMode } from "./config.ts";

export interface OpenedClock {
  /** What became of the mode that was asked for. */
  readonly mode: ClockMode;
  readonly clock: SteeredClock;
  /** Why it is not the system clock although it was asked for. */
  readonly refusal?: string;
  /** Put everything back as it was found, but the time. Idempotent. */
  close(): void;
}

export async function openClock(host: Host, mode: ClockMode): Promise<OpenedClock> {
  if (mode !== "system") return { mode, clock: steeredVirtual(host.clock), close: () => {} };
  const opened = openSystemClock(await loadFfi(host.runtime));
  if (!isActuator(opened)) return { mode: "observe", clock: steeredVirtual(host.clock), refusal: opened.reason, close: () => {} };
  // Also when something unforeseen ends the process: a slew outlives it.
  const takeBack = restoreOnExit(opened);
  return {
    mode,
    clock: steeredSystem(host.clock, opened),
    close() {
      opened.restore();
      takeBack();
    },
  };
}

/** The runtime's way to call C; undefined where there is none. */
async function loadFfi(runtime: Host["runtime"]): Promise<Ffi | undefined> {
  if (runtime === "deno") return (await import("../hosts/native/ffi-deno.ts")).load();
  if (runtime === "bun") return (await import("../hosts/native/ffi-bun.ts")).load();
  const [koffi, nodeFfi] = await Promise.all([import("../hosts/native/ffi-koffi.ts"), import("../hosts/native/ffi-node.ts")]);
  return (await koffi.load()) ?? (await nodeFfi.load());
}
