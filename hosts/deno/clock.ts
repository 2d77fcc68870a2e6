// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Deno's own clocks, for when FFI is not permitted: those of its `node:process`, as on Node.
 * Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

export { runtimeClock } from "../node/clock.ts";
