// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a page loads to ask several sources, beside what it asks with. No logic: see questions.ts.
 * Tested in tests/browser/relay.test.ts.
 *
 * @module
 */

export * from "./questions.ts";
export { now, survey } from "../../common/client/survey.ts";
