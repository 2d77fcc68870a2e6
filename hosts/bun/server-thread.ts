// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The file that a server's threads run on Bun. Tested in tests/server/runtimes.test.ts.
 *
 * @module
 */

import { runHere } from "../node/threads.ts";
import { lendHost, lendFfi } from "./index.ts";

await runHere(lendHost, lendFfi);
