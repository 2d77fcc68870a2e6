// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a page loads for a clock that follows more than servers, beside what it asks with. No logic: see questions.ts.
 * Tested in tests/browser/relay.test.ts.
 *
 * @module
 */

export * from "./questions.ts";
export { startClock, watch } from "../../common/client/start.ts";
