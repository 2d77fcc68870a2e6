// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Node's own clocks, for when there is no FFI: `Date.now()` for the millisecond, `process.hrtime` for the rest.
 * Tested in udp.test.ts.
 *
 * @module
 */

import process from "node:process";
import { AnchoredClock } from "../common/clock/anchored.ts";
import type { HostClock } from "../common/host.ts";

export function runtimeClock(): HostClock {
  return new AnchoredClock({ wallMs: Date.now, monotonicNs: () => process.hrtime.bigint() }, "Date.now + process.hrtime");
}
