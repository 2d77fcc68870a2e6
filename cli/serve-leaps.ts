// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement serve --leap-file`: the server says what the file says, from second to second; the file is read anew on SIGHUP and
 * when it has changed. Tested in tests/server/leaps.test.ts.
 *
 * @module
 */

import type { Server, ServerUpdate } from "#host";
import type { LeapFile, LeapState } from "../daemon/leaps.ts";
import { onHangup } from "./foreground.ts";

/** How often what is known is held against the clock, ms, and how often the file is looked at. */
const TICK_MS = 1000;
const LOOK_MS = 60_000;

/** About now. */
export function leapsNow(leaps: LeapFile): LeapState {
  return leaps.known(BigInt(Date.now()) * 1_000_000n);
}

/** Keep `server`, which says `state` beside that, told of leap seconds, until the returned function is called. */
export function followLeaps(server: Server, leaps: LeapFile, state: ServerUpdate): () => void {
  const textOf = ({ leap, leapAtNs, taiOffset }: LeapState) => `${leap} ${leapAtNs} ${taiOffset}`;
  let told = textOf(leapsNow(leaps));
  const tell = () => {
    const known = leapsNow(leaps);
    if (textOf(known) === told) return;
    told = textOf(known);
    server.update({ ...state, ...known });
  };
  const ticker = setInterval(tell, TICK_MS);
  const looker = setInterval(() => void leaps.look().then(tell), LOOK_MS);
  const forget = onHangup(() => void leaps.renew().then(tell));
  return () => {
    clearInterval(ticker);
    clearInterval(looker);
    forget();
  };
}
