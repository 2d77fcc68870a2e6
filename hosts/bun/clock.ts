// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Bun's own clocks, for when there is no FFI: those of its `node:process`, as on Node.
 * Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

export { runtimeClock } from "../node/clock.ts";
