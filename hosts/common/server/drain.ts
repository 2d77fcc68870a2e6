// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The end of a server on the runtime's own sockets: what they have accepted is answered before they are closed.
 *
 * Nobody can ask such a socket what is left in it. So the event loop is given turns, each of which reads some datagrams, until
 * a few in a row found nothing; or, where clients ask on and on, so many that what came before the first of them has long been
 * read. Tested in tests/server/ending.test.ts.
 *
 * @module
 */

import type { ServerStats } from "./serve.ts";

const QUIET_TURNS = 3;
const DRAIN_TURNS = 200;

/** A turn of the event loop. */
export const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** Let the event loop read what has come, until it finds nothing more, and the answers leave. */
export async function drain(stats: () => ServerStats): Promise<void> {
  for (let turns = 0, quiet = 0; turns < DRAIN_TURNS && quiet < QUIET_TURNS; turns++) {
    const { received, answered, dropped, failed } = stats();
    await turn();
    const pending = received > answered + dropped + failed;
    quiet = !pending && stats().received === received ? quiet + 1 : 0;
  }
}
