// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source kept running: its timer, its socket, its addresses. Obeys the core and hands datagrams to it.
 *
 * Each request has a socket of its own (a fresh port, RFC 9109), kept until the next. A name is looked up again when the core
 * says so, and the next of its addresses is asked. Whatever fails here is a request without an answer, which the core knows
 * how to live with. Tested in engine.test.ts.
 *
 * @module
 */

import type { Datagram, Endpoint, Host, UdpSocket } from "../host.ts";
import type { SteeredClock } from "../clock/steered.ts";
import type { Actions, DisciplineCore } from "./discipline.ts";
import { sameAddress } from "./address.ts";
import { endpointsOf } from "./resolve.ts";
import type { Source } from "./source.ts";

/** What runners have in common. */
export interface RunnerContext {
  readonly host: Host;
  readonly core: DisciplineCore;
  readonly clock: SteeredClock;
  /** The core asked for steering, at this monotonic time. */
  steer(nowNs: bigint): void;
  /** The server does not want us. */
  stopped(runner: SourceRunner): void;
}

export interface RunnerOptions {
  readonly index: number;
  readonly source: Source;
  readonly version: 3 | 4;
  readonly minPoll: number;
  readonly maxPoll: number;
  /** Fixed address, for members of a pool. */
  readonly endpoint?: Endpoint;
}

const NS_PER_MS = 1e6;
/** setTimeout takes no more than 2^31 - 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Datagrams before the send stamp is known; more are dropped. */
const EARLY_LIMIT = 16;

export class SourceRunner {
  readonly options: RunnerOptions;
  readonly #context: RunnerContext;
  #endpoints: Endpoint[] = [];
  #turn = 0;
  #socket: UdpSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  /** Why the last request could not even be sent; for `sources`. */
  lastError: string | undefined;

  constructor(context: RunnerContext, options: RunnerOptions) {
    this.#context = context;
    this.options = options;
    context.core.open(options.index, options);
  }

  /** The address asked now. */
  get endpoint(): Endpoint | undefined {
    return this.#endpoints[this.#turn % Math.max(1, this.#endpoints.length)];
  }

  /** Look the name up and ask for the first time. */
  async start(): Promise<void> {
    await this.#resolve();
    this.#ask();
  }

  /** Ask now instead of when the timer says, for instance after the clock jumped. */
  askNow(): void {
    if (!this.#closed) this.#ask();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#context.core.close(this.options.index);
  }

  async #resolve(): Promise<void> {
    const { endpoint, source } = this.options;
    try {
      this.#endpoints = endpoint ? [endpoint] : await endpointsOf(this.#context.host, source);
      this.#turn += 1;
    } catch (error) {
      // The old addresses, if any, are better than none.
      this.lastError = (error as Error).message;
    }
  }

  #ask(): void {
    if (this.#closed) return;
    const { core, clock, host } = this.#context;
    const random = new DataView(host.random(new Uint8Array(8)).buffer).getBigUint64(0);
    const now = clock.monotonic();
    const actions = core.timer(this.options.index, now, random);
    this.#obey(actions, now);
    if (actions.send) void this.#send(actions.send).catch((error: Error) => (this.lastError = error.message));
  }

  async #send(packet: Uint8Array): Promise<void> {
    const { host, core, clock } = this.#context;
    const endpoint = this.endpoint;
    this.#socket?.close();
    this.#socket = undefined;
    if (!endpoint) return;
    const early: Datagram[] = [];
    let take = (datagram: Datagram) => {
      if (early.length < EARLY_LIMIT) early.push({ ...datagram, data: datagram.data.slice() });
    };
    const handlers = { onDatagram: (datagram: Datagram) => take(datagram), onError: (error: Error) => void (this.lastError = error.message) };
    const socket = await host.openUdp!({ family: endpoint.address.includes(":") ? 6 : 4, connect: endpoint }, handlers, "kernel");
    if (this.#closed) return socket.close();
    this.#socket = socket;
    const { sentNs } = await socket.send(packet, endpoint);
    core.sent(this.options.index, clock.carry(sentNs).time);
    take = (datagram) => this.#take(datagram, endpoint, socket);
    for (const datagram of early) take(datagram);
  }

  #take(datagram: Datagram, endpoint: Endpoint, socket: UdpSocket): void {
    // Only the socket of the request under way, and only from whom it was asked.
    if (this.#closed || socket !== this.#socket) return;
    if (datagram.from.port !== endpoint.port || !sameAddress(datagram.from.address, endpoint.address)) return;
    const { core, clock } = this.#context;
    const came = clock.carry(datagram.receivedNs);
    const now = clock.monotonic();
    this.#obey(core.reply(this.options.index, datagram.data, came, now), now);
  }

  #obey(actions: Actions, nowNs: bigint): void {
    const { clock } = this.#context;
    if (actions.timerNs !== undefined) {
      clearTimeout(this.#timer);
      const delay = Number(actions.timerNs - clock.monotonic()) / NS_PER_MS;
      this.#timer = setTimeout(() => this.#ask(), Math.max(0, Math.min(delay, LONGEST_TIMER_MS)));
    }
    if (actions.resolve) void this.#resolve();
    if (actions.steer) this.#context.steer(nowNs);
    if (actions.stop) {
      this.close();
      this.#context.stopped(this);
    }
  }
}
