// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One peer kept up with: its timer, its datagrams. Obeys the core (assembly/association/symmetric.ts), decides nothing.
 * Tested in tests/interop/symmetric.test.ts.
 *
 * @module
 */

import type { Datagram, Endpoint } from "../host.ts";
import { EarlyDatagrams } from "./early.ts";
import type { Actions } from "./events.ts";
import type { PeerPort } from "./peering.ts";
import { endpointsOf } from "./resolve.ts";
import { steerOrStop, type RunnerContext, type RunnerOptions } from "./runner.ts";
import { timerAt } from "./timer.ts";
import { Trouble } from "./trouble.ts";

export interface PeerRunnerOptions extends RunnerOptions {
  /** It asks, we answer: nobody has configured it here. */
  readonly passive: boolean;
}

export class PeerRunner {
  readonly options: PeerRunnerOptions;
  readonly #context: RunnerContext;
  readonly #port: PeerPort;
  readonly #early = new EarlyDatagrams();
  #endpoint: Endpoint | undefined;
  #unregister: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending = 0;
  #closed = false;
  lastError: string | undefined;
  readonly #trouble: Trouble;

  constructor(context: RunnerContext, port: PeerPort, options: PeerRunnerOptions) {
    this.#context = context;
    this.#port = port;
    this.options = options;
    this.#trouble = new Trouble((message, wrong) => context.trouble(this, message, wrong));
    if (options.endpoint) this.#open(options.endpoint, undefined);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get endpoint(): Endpoint | undefined {
    return this.#endpoint;
  }

  async start(): Promise<void> {
    if (!this.#endpoint) await this.#find();
    if (this.#endpoint) this.#due();
  }

  /** Peers are not asked out of turn. */
  askNow(): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#unregister?.();
    this.#context.core.close(this.options.index);
  }

  /** Look the name up; a peer is one address. */
  async #find(): Promise<void> {
    try {
      const [endpoint] = await endpointsOf(this.#context.host, this.options.source);
      if (this.#closed || !endpoint) return;
      this.#trouble.ends("name", () => `its name resolves: ${endpoint.address}`);
      const ourAddress = await this.#port.addressFor(endpoint);
      if (!this.#closed) this.#open(endpoint, ourAddress);
    } catch (error) {
      if (this.#closed) return;
      this.lastError = (error as Error).message;
      if ((error as { code?: unknown }).code === "DNS") this.#trouble.begins("name", this.lastError);
      this.#timer = setTimeout(() => void this.start(), 1000 * 2 ** this.options.minPoll);
    }
  }

  #open(endpoint: Endpoint, ourAddress: string | undefined): void {
    const { core } = this.#context;
    const { index, passive } = this.options;
    this.#endpoint = endpoint;
    core.peers.open(index, { ...this.options, ourAddress });
    core.address(index, endpoint.address);
    this.#unregister = this.#port.register(endpoint, (datagram) => this.#take(datagram), passive);
  }

  #due(): void {
    if (this.#closed) return;
    const { core, clock } = this.#context;
    const now = clock.monotonic();
    this.#obey(core.peers.timer(this.options.index, { monotonic: now, time: clock.now() }, this.#random()), now);
  }

  #random(): bigint {
    return new DataView(this.#context.host.random(new Uint8Array(8)).buffer).getBigUint64(0);
  }

  #take(datagram: Datagram): void {
    if (this.#closed) return;
    // What answers a packet MUST NOT be judged before its stamp is known.
    if (this.#sending > 0) return this.#early.hold(datagram);
    const { core, clock, watch } = this.#context;
    watch();
    const came = clock.carry(datagram.receivedNs);
    const now = { monotonic: clock.monotonic(), time: clock.now(), random: this.#random() };
    this.#obey(core.peers.packet(this.options.index, datagram.data, came, now), now.monotonic);
  }

  async #send(packet: Uint8Array, endpoint: Endpoint): Promise<void> {
    const { core, clock } = this.#context;
    this.#sending += 1;
    try {
      const { sentNs } = await this.#port.send(packet, endpoint);
      if (!this.#closed) core.peers.sent(this.options.index, clock.carry(sentNs).time);
      this.lastError = undefined;
    } catch (error) {
      this.lastError = (error as Error).message;
    } finally {
      this.#sending -= 1;
    }
    this.#early.release((datagram) => this.#take(datagram));
  }

  #obey(actions: Actions, nowNs: bigint): void {
    if (actions.send && this.#endpoint) void this.#send(actions.send, this.#endpoint);
    if (actions.timerNs !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = timerAt(this.#context.clock, actions.timerNs, () => this.#due());
    }
    steerOrStop(this, this.#context, actions, nowNs);
  }
}
