// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Says the time unasked (RFC 5905 §3): at each interval the core writes a broadcast, and it leaves from the server's own port.
 *
 * A broadcast that cannot be sent (no route, the interface is down) is left out; the next is tried.
 * Tested in tests/server/broadcast.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
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

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkBroadcast({ interval = 64, ttl = 1, port = 123 }: BroadcastOptions): void {
  const whole = (value: number, least: number, most: number) => Number.isInteger(value) && value >= least && value <= most;
  if (!(interval >= 1 && interval <= 131072)) throw new NtpError("INVALID_ARGUMENT", `expected a broadcast interval of 1..131072 s, got ${interval}`);
  if (!whole(ttl, 1, 255)) throw new NtpError("INVALID_ARGUMENT", `expected a broadcast ttl of 1..255, got ${ttl}`);
  if (!whole(port, 1, 65535)) throw new NtpError("INVALID_ARGUMENT", `expected a broadcast port of 1..65535, got ${port}`);
}
