// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Listening by TCP: Bun's `node:net` does all that is needed here. Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

export { listenTcp } from "../node/tcp-listen.ts";
