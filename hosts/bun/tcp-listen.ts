// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Listening by TCP: Bun's `node:net` does all that is needed here.
 *
 * @module
 */

export { listenTcp } from "../node/tcp-listen.ts";
