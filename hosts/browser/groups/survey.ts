// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a page loads to ask several sources, beside what it asks with. No logic: see questions.ts.
 * Tested in tests/contract/contract.test.ts, in a page.
 *
 * @module
 */

export * from "./questions.ts";
export { now, survey } from "../../common/client/survey.ts";
