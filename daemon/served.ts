// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A host whose wall clock is the daemon's virtual clock, for the server thread: the virtual clock itself lives in the
 * sampling thread, which tells each change of it. Between two tellings it runs straight on.
 *
 * Its base is the wall clock, not the timer, because not every runtime's timer has one origin in all threads. Whoever
 * steps the wall clock disturbs it until the next telling, a second at most. Tested in status.test.ts.
 *
 * @module
 */

import type { Host } from "../hosts/common/host.ts";
import { carry, type ClockReading } from "../hosts/common/server/reading.ts";

export { carry, type ClockReading };

/** `host`, telling virtual time: its readings and its sockets' stamps. Without a reading its own. */
export function virtualHost(host: Host, reading: () => ClockReading | undefined): Host {
  const carried = (wallNs: bigint) => {
    const latest = reading();
    return latest ? carry(latest, wallNs) : wallNs;
  };
  const { clock, openUdp } = host;
  return {
    ...host,
    clock: { now: () => carried(clock.now()), monotonic: () => clock.monotonic(), precision: clock.precision, description: `virtual over ${clock.description}` },
    ...(openUdp && {
      openUdp: (options, handlers, stamps) =>
        openUdp(options, { ...handlers, onDatagram: (datagram) => handlers.onDatagram({ ...datagram, receivedNs: carried(datagram.receivedNs) }) }, stamps).then(
          (socket) => ({
            local: socket.local,
            stamps: socket.stamps,
            send: async (data, to) => {
              const { sentNs, stamp } = await socket.send(data, to);
              return { sentNs: carried(sentNs), stamp };
            },
            close: () => socket.close(),
          }),
        ),
    }),
  };
}
