// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Files on Deno: its `node:fs`, as on Node. Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

export { files } from "../node/files.ts";
