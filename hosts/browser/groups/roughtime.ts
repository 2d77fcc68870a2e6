// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a page loads when it asks by Roughtime. No logic: see questions.ts. Tested in tests/browser/relay.test.ts.
 *
 * @module
 */

export * from "../../common/roughtime/index.ts";
export { queryRoughtime } from "../../common/roughtime/sample.ts";
export { bootstrapTime } from "../../common/roughtime/bootstrap.ts";
export { quorumTime } from "../../common/nts/quorumtime.ts";
