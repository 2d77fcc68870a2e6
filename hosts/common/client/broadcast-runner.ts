// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One server whose broadcasts are heard: the socket that listens, and those of the volley. Obeys the core
 * (assembly/association/broadcast.ts), decides nothing. Tested in tests/interop/broadcast.test.ts.
 *
 * @module
 */

import type { Datagram, Endpoint, UdpSocket } from "../host.ts";
import { sameAddress } from "../address.ts";
import { EarlyDatagrams } from "./early.ts";
import type { Actions } from "./events.ts";
import { endpointsOf } from "./resolve.ts";
import { steerOrStop, type RunnerContext, type RunnerOptions } from "./runner.ts";
import { NTP_PORT } from "./source.ts";
import { timerAt } from "./timer.ts";
import { Trouble } from "./trouble.ts";

/** Where broadcasts come to. */
export interface ListenOptions {
  /** Default 123. */
  readonly port?: number;
  /** A multicast group to join, and the interface (its address; for IPv6 its name). */
  readonly group?: string;
  readonly interface?: string;
}

/** What a socket that could not be opened is tried again after, ms. */
const RETRY_MS = 16_000;

export class BroadcastRunner {
  readonly options: RunnerOptions;
  readonly #context: RunnerContext;
  readonly #listen: ListenOptions;
  #server: Endpoint | undefined;
  #listening: UdpSocket | undefined;
  #asking: UdpSocket | undefined;
  #request = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  lastError: string | undefined;
  readonly #trouble: Trouble;

  constructor(context: RunnerContext, listen: ListenOptions, options: RunnerOptions) {
    this.#context = context;
    this.#listen = listen;
    this.options = options;
    this.#trouble = new Trouble((message, wrong) => context.trouble(this, message, wrong));
    context.core.broadcasts.open(options.index, options);
  }

  get endpoint(): Endpoint | undefined {
    return this.#server;
  }

  async start(): Promise<void> {
    try {
      await this.#open();
      this.lastError = undefined;
    } catch (error) {
      this.lastError = (error as Error).message;
      if (this.#closed) return;
      if ((error as { code?: unknown }).code === "DNS") this.#trouble.begins("name", this.lastError);
      this.#timer = setTimeout(() => void this.start(), RETRY_MS);
    }
  }

  /** It tells the time when it wants to. */
  askNow(): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#listening?.close();
    this.#asking?.close();
    this.#context.core.close(this.options.index);
  }

  async #open(): Promise<void> {
    const { host, core } = this.#context;
    const [server] = await endpointsOf(host, this.options.source);
    if (this.#closed || !server) return;
    this.#trouble.ends("name", () => `its name resolves: ${server.address}`);
    this.#server = server;
    core.address(this.options.index, server.address);
    const { port = NTP_PORT, group } = this.#listen;
    const family = (group ?? server.address).includes(":") ? 6 : 4;
    const multicast = group ? { multicast: { group, ...(this.#listen.interface ? { interface: this.#listen.interface } : {}) } } : {};
    const handlers = { onDatagram: (datagram: Datagram) => this.#onBroadcast(datagram), onError: (error: Error) => void (this.lastError = error.message) };
    const socket = await host.openUdp!({ family, port, reuseAddress: true, ...multicast }, handlers, "kernel");
    if (this.#closed) return socket.close();
    this.#listening = socket;
  }

  /** Only from the server's address and port. */
  #onBroadcast(datagram: Datagram): void {
    const server = this.#server;
    if (this.#closed || !server || datagram.from.port !== server.port || !sameAddress(datagram.from.address, server.address)) return;
    const { core, clock, watch } = this.#context;
    watch();
    const came = clock.carry(datagram.receivedNs);
    const now = clock.monotonic();
    this.#obey(core.broadcasts.packet(this.options.index, datagram.data, came, { monotonic: now, random: this.#random() }), now);
  }

  #random(): bigint {
    return new DataView(this.#context.host.random(new Uint8Array(8)).buffer).getBigUint64(0);
  }

  #due(): void {
    if (this.#closed) return;
    const now = this.#context.clock.monotonic();
    this.#obey(this.#context.core.broadcasts.timer(this.options.index, now, this.#random()), now);
  }

  /** One request of the volley, from a port of its own. Never rejects. */
  async #ask(packet: Uint8Array, server: Endpoint): Promise<void> {
    const request = ++this.#request;
    const current = () => !this.#closed && request === this.#request;
    const { host, core, clock } = this.#context;
    this.#asking?.close();
    this.#asking = undefined;
    const early = new EarlyDatagrams();
    let take = (datagram: Datagram) => early.hold(datagram);
    const handlers = { onDatagram: (datagram: Datagram) => take(datagram), onError: (error: Error) => void (this.lastError = error.message) };
    try {
      const socket = await host.openUdp!({ family: server.address.includes(":") ? 6 : 4, connect: server }, handlers, "kernel");
      if (!current()) return socket.close();
      this.#asking = socket;
      const { sentNs } = await socket.send(packet, server);
      if (!current()) return;
      core.sent(this.options.index, clock.carry(sentNs).time);
    } catch (error) {
      this.lastError = (error as Error).message;
    }
    take = (datagram) => {
      if (current()) this.#onReply(datagram, server);
    };
    early.release(take);
  }

  #onReply(datagram: Datagram, server: Endpoint): void {
    if (datagram.from.port !== server.port || !sameAddress(datagram.from.address, server.address)) return;
    const { core, clock } = this.#context;
    const came = clock.carry(datagram.receivedNs);
    const now = clock.monotonic();
    this.#obey(core.broadcasts.reply(this.options.index, datagram.data, came, now), now);
  }

  #obey(actions: Actions, nowNs: bigint): void {
    if (actions.send && this.#server) void this.#ask(actions.send, this.#server);
    if (actions.timerNs !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = timerAt(this.#context.clock, actions.timerNs, () => this.#due());
    }
    steerOrStop(this, this.#context, actions, nowNs);
  }
}
