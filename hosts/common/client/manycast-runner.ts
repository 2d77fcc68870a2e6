// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One network asked for its servers: its timer, the socket of each request, what was found. Obeys the core
 * (assembly/association/manycast.ts), decides nothing. Whatever fails here is a request without an answer.
 * Tested in manycast.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Datagram, Endpoint, UdpSocket } from "../host.ts";
import { sameAddress } from "../address.ts";
import { EarlyDatagrams } from "./early.ts";
import type { Actions } from "./events.ts";
import { endpointsOf } from "./resolve.ts";
import type { RunnerContext, SourceRunner } from "./runner.ts";
import type { Source } from "./source.ts";
import { timerAt } from "./timer.ts";

/** How servers are looked for. */
export interface ManycastOptions {
  /** Follow so many of those that answer. Default 4. */
  readonly limit?: number;
  /** How many networks a request to a group may pass. Default 1: only this one is asked. */
  readonly hops?: number;
}

export interface ManycastContext extends RunnerContext {
  /** A source for a server that was found; undefined where it is followed already or there is no room. */
  found(endpoint: Endpoint): SourceRunner | undefined;
  /** The place of a source that was found, and is gone, is free. */
  release(index: number): void;
}

export interface ManycastRunnerOptions extends Required<ManycastOptions> {
  /** Its number in the core. */
  readonly which: number;
  /** The group or broadcast address, and the servers' port. */
  readonly source: Source;
  readonly version: 3 | 4;
}

export const MANYCAST_SERVERS = 4;

/** Answers count for so long, ms; the core has the same. */
const WINDOW_MS = 5000;
/** Of these answers so many may come before the send stamp is known: the whole network answers. */
const EARLY_LIMIT = 64;
/** Servers remembered; answers of further ones are passed over. */
const KNOWN_LIMIT = 256;

export class ManycastRunner {
  readonly #context: ManycastContext;
  readonly #options: ManycastRunnerOptions;
  /** By address. Those that do not want us, or are ourselves, stay, so that they are not asked again. */
  readonly #known = new Map<string, SourceRunner>();
  #socket: UdpSocket | undefined;
  #request = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #windowTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(context: ManycastContext, options: ManycastRunnerOptions) {
    this.#context = context;
    this.#options = options;
    context.core.manycast.open(options.which, options.version, options.limit);
  }

  /** Ask for the first time. @throws {NtpError} `UNSUPPORTED` where groups cannot be asked */
  async start(): Promise<void> {
    const failure = await this.#due();
    if (failure instanceof NtpError && failure.code === "UNSUPPORTED") throw failure;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#endWindow();
    this.#context.core.manycast.close(this.#options.which);
  }

  /** The timer's time has come. Never rejects. */
  async #due(): Promise<Error | undefined> {
    if (this.#closed) return;
    const { core, clock, host } = this.#context;
    this.#forgetLost();
    const random = new DataView(host.random(new Uint8Array(8)).buffer).getBigUint64(0);
    const actions = core.manycast.timer(this.#options.which, clock.monotonic(), random);
    this.#schedule(actions);
    this.#endWindow();
    if (!actions.send) return;
    try {
      await this.#ask(actions.send, ++this.#request);
    } catch (error) {
      return error as Error;
    }
  }

  #schedule({ timerNs }: Actions): void {
    if (timerNs === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = timerAt(this.#context.clock, timerNs, () => void this.#due());
  }

  /** A server that is gone may be found again, but for one that does not want us. */
  #forgetLost(): void {
    const lost = new Set(this.#context.core.manycast.lost(this.#options.which));
    for (const [address, runner] of this.#known) {
      if (!lost.has(runner.options.index)) continue;
      if (!runner.closed) this.#known.delete(address);
      runner.close();
    }
    for (const index of lost) this.#context.release(index);
  }

  /** From a port of its own, to everybody. */
  async #ask(packet: Uint8Array, request: number): Promise<void> {
    const { host, core, clock } = this.#context;
    const current = () => !this.#closed && request === this.#request;
    const [group] = await endpointsOf(host, this.#options.source);
    if (!group || !current()) return;
    const early = new EarlyDatagrams(EARLY_LIMIT);
    let take = (datagram: Datagram) => early.hold(datagram);
    const handlers = { onDatagram: (datagram: Datagram) => take(datagram), onError() {} };
    const family = group.address.includes(":") ? 6 : 4;
    const socket = await host.openUdp!({ family, broadcast: true, multicastHops: this.#options.hops }, handlers, "kernel");
    if (!current()) return socket.close();
    this.#socket = socket;
    this.#windowTimer = setTimeout(() => this.#endWindow(), WINDOW_MS);
    const { sentNs } = await socket.send(packet, group);
    if (!current()) return;
    core.manycast.sent(this.#options.which, clock.carry(sentNs).time);
    take = (datagram) => {
      if (current() && datagram.from.port === group.port) this.#take(datagram);
    };
    early.release(take);
  }

  #endWindow(): void {
    clearTimeout(this.#windowTimer);
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Anybody may answer, once. */
  #take({ data, from, receivedNs }: Datagram): void {
    const { core, clock, found } = this.#context;
    const { which } = this.#options;
    if (this.#known.size >= KNOWN_LIMIT || [...this.#known.keys()].some((address) => sameAddress(address, from.address))) return;
    if (!core.manycast.reply(which, data, clock.carry(receivedNs))) return;
    const runner = found(from);
    if (!runner) return;
    this.#known.set(from.address, runner);
    core.manycast.follow(which, runner.options.index);
    void this.#begin(runner, from);
  }

  /** What this machine's own server says is no news. */
  async #begin(runner: SourceRunner, endpoint: Endpoint): Promise<void> {
    const family = endpoint.address.includes(":") ? 6 : 4;
    const probe = await this.#context.host.openUdp!({ family, connect: endpoint }, { onDatagram() {}, onError() {} }).catch(() => undefined);
    probe?.close();
    if (probe && sameAddress(probe.local.address, endpoint.address)) runner.close();
    else await runner.start();
  }
}
