// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock that the daemon steers: the system's, where it was asked for and may be steered, else a virtual one.
 * Tested in daemon.test.ts.
 *
 * @module
 */

import { steeredSystem, steeredVirtual, type SteeredClock } from "../hosts/common/clock/steered.ts";
import type { Host } from "../hosts/common/host.ts";
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
  const observing = { clock: steeredVirtual(host.clock), close: () => {} };
  if (mode !== "system") return { mode, ...observing };
  const system = await host.systemClock?.();
  if (!system) return { mode: "observe", refusal: `${host.runtime} gives no way to it`, ...observing };
  const opened = system.open();
  if ("reason" in opened) return { mode: "observe", refusal: opened.reason, ...observing };
  // Also when something unforeseen ends the process: a slew outlives it.
  const takeBack = system.restoreOnExit(opened);
  return {
    mode,
    clock: steeredSystem(host.clock, opened),
    close() {
      opened.restore();
      takeBack();
    },
  };
}
