// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Says the time unasked (RFC 5905 §3): at each interval the core writes a broadcast, and it leaves from the server's own port.
 *
 * A broadcast that cannot be sent (no route, the interface is down) is left out; the next is tried.
 * Tested in tests/server/broadcast.test.ts.
 *
 * @module
 */

import type { Host } from "../host.ts";
import { checkedState, type BroadcastOptions, type ServeOptions, type ServerUpdate } from "./serve.ts";
import { ServerCore } from "./state.ts";
import type { OpenedSockets } from "./threads.ts";
import type { ClockReading } from "./reading.ts";

export class Broadcaster {
  readonly #host: Host;
  readonly #server: ServerCore;
  readonly #sockets: OpenedSockets;
  readonly #timers: ReturnType<typeof setInterval>[];
  #sent = 0;

  constructor(host: Host, options: ServeOptions, sockets: OpenedSockets) {
    this.#host = host;
    this.#sockets = sockets;
    this.#server = new ServerCore(checkedState(options, host), () => host.clock.now());
    this.#timers = (options.broadcast ?? []).map((one) => {
      this.#say(one);
      return setInterval(() => this.#say(one), (one.interval ?? 64) * 1000);
    });
  }

  /** Broadcasts that have left. */
  get sent(): number {
    return this.#sent;
  }

  update(update: ServerUpdate): void {
    this.#server.update(checkedState(update, this.#host));
  }

  follow(reading: ClockReading): void {
    this.#server.follow(reading);
  }

  #say({ address, port = 123, interval = 64, ttl = 1, interface: device }: BroadcastOptions): void {
    const poll = Math.round(Math.log2(interval));
    const now = this.#server.served(this.#host.clock.now());
    this.#server.renew(now);
    const packet = this.#server.announce(poll, now);
    if (!packet) return;
    try {
      this.#sockets.announce(packet, { address, port, ttl, ...(device !== undefined && { interface: device }) });
      this.#sent += 1;
    } catch {
      // The next may go.
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
