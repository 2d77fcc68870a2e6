// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A host whose wall clock is the daemon's virtual clock, for the server thread: the virtual clock itself lives in the
 * sampling thread, which tells each change of it. Between two tellings it runs straight on.
 *
 * Its base is the wall clock, not the timer, because not every runtime's timer has one origin in all threads. Whoever
 * steps the wall clock disturbs it until the next telling, a second at most. Tested in served.test.ts.
 *
 * @module
 */

import type { Host } from "../hosts/common/host.ts";

/** The virtual clock at one moment. */
export interface ClockReading {
  /** The host's wall clock and the virtual clock then, ns since 1970. */
  readonly wallNs: bigint;
  readonly timeNs: bigint;
  /** What the virtual clock gains on the host's. */
  readonly rate: number;
}

/** Further than this from its reading the rate is no longer applied: the wall clock was stepped. */
const LONGEST_NS = 60_000_000_000n;

/** Virtual time when the host's wall clock reads `wallNs`. */
export function carry({ wallNs: readAt, timeNs, rate }: ClockReading, wallNs: bigint): bigint {
  const span = wallNs - readAt;
  const straight = timeNs + span;
  return span < LONGEST_NS && span > -LONGEST_NS ? straight + BigInt(Math.round(Number(span) * rate)) : straight;
}

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
