// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a daemon says of itself, asked as the command asks it but in this process: what is looked at many times a second would
 * else start as many processes, and be what the machine is busy with. What the command prints: daemon/daemon.test.ts.
 *
 * @module
 */

import { ask } from "../../cli/observe.ts";

/** One of its reports, as `escapement TOPIC --json` prints it; an error while it does not answer or knows nothing yet. */
export async function reportOf<T>(topic: string, socket: string): Promise<T> {
  return (await ask(socket, topic)) as T;
}
