// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source kept running: its timer, its socket, its addresses. Obeys the core and hands datagrams to it.
 *
 * Each request has a socket of its own (a fresh port, RFC 9109), kept until its answer or a few seconds; what of a
 * request is still being opened or sent when the next is due is dropped. Until one of a name's addresses answers,
 * each request goes to the next of them. The name is looked up again when the core says so. Whatever fails here is a
 * request without an answer, which the core knows how to live with. While another source speaks for the same server
 * (duplicates.ts) nothing is asked. Tested in runner.test.ts, runner-names.test.ts and duplicates.test.ts.
 *
 * @module
 */

import type { Datagram, Endpoint, Host, UdpSocket } from "../host.ts";
import type { SteeredClock } from "../clock/steered.ts";
import { sameAddress } from "../address.ts";
import type { DisciplineCore } from "./discipline.ts";
import { EarlyDatagrams } from "./early.ts";
import type { Actions } from "./events.ts";
import type { Establish } from "./keyring.ts";
import type { SymmetricKey } from "./keys.ts";
import { NtsLink } from "./ntslink.ts";
import { endpointsOf } from "./resolve.ts";
import type { Source } from "./source.ts";
import { timerAt } from "./timer.ts";
import { Trouble } from "./trouble.ts";
import type { SourceVersion } from "./version.ts";

/** What runners have in common. */
export interface RunnerContext {
  readonly host: Host;
  readonly core: DisciplineCore;
  readonly clock: SteeredClock;
  /** Look whether somebody moved the clock: what was measured across that is no measurement. */
  watch(): void;
  /** The core asked for steering, at this monotonic time. */
  steer(nowNs: bigint): void;
  /** The server does not want us. */
  stopped(runner: { readonly options: RunnerOptions }): void;
  /** Something keeps a source from being asked, or does no more. */
  trouble(runner: { readonly options: RunnerOptions }, message: string, wrong: boolean): void;
  /** Another source that speaks for the server at this endpoint. */
  speaker(runner: SourceRunner, endpoint: Endpoint): SourceRunner | undefined;
  /** A source was heard at its address for the first time. */
  heard(runner: SourceRunner): void;
}

export interface RunnerOptions {
  readonly index: number;
  readonly source: Source;
  readonly version: SourceVersion;
  /** We are a server ourselves. */
  readonly serving?: boolean;
  readonly minPoll: number;
  readonly maxPoll: number;
  /** Ask in interleaved mode where the server has it. */
  readonly interleaved?: boolean;
  /** NTPv5: ask for corrections of network nodes. */
  readonly correction?: boolean;
  /** Believe only what this key vouches for. */
  readonly key?: SymmetricKey | undefined;
  /** For an `nts:` source: how keys are established with it. */
  readonly establish?: Establish | undefined;
  /** The first address of a member of a pool, and which addresses other members have. */
  readonly endpoint?: Endpoint;
  readonly taken?: (endpoint: Endpoint) => boolean;
}

const NS_PER_SECOND = 1_000_000_000n;
/** No two requests of ours are closer than those of a burst, 2 s (BTIME, RFC 5905 §13.2): log2 s. */
const BURST_POLL = 1;
/** How often it is looked whether a source that another one speaks for may ask again, ns. */
const STAND_BACK_NS = 64n * NS_PER_SECOND;
/** Requests without an answer after which nobody stands back for it any more: those of the reach register. */
const PATIENCE = 8;
/** A reply that takes longer measures nothing worth having, ms. */
const ANSWER_LIMIT_MS = 5000;

/** What every runner does last: pass steering on, and end when the server does not want us. */
export function steerOrStop(runner: { readonly options: RunnerOptions; close(): void }, { steer, stopped }: RunnerContext, actions: Actions, nowNs: bigint): void {
  if (actions.steer) steer(nowNs);
  if (!actions.stop) return;
  runner.close();
  stopped(runner);
}

export class SourceRunner {
  readonly options: RunnerOptions;
  readonly #context: RunnerContext;
  readonly #link: NtsLink | undefined;
  /** Where NTP is asked: the source itself, or with NTS what the key establishment said. */
  #target: Source | undefined;
  #endpoints: Endpoint[] = [];
  /** Which of the endpoints is asked, and whether it has answered since the name was last looked up. */
  #turn = -1;
  #answered = false;
  /** Where it asks, as others see it, and how many requests there were in vain. */
  #claimed: Endpoint | undefined;
  #unanswered = 0;
  readonly #trouble: Trouble;
  #lookup: Promise<void> | undefined;
  /** Numbers the requests: an earlier one has nothing to say any more. */
  #request = 0;
  /** When the last one was due, monotonic ns. */
  #askedNs: bigint | undefined;
  #socket: UdpSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #releaseTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  /** The version that the present keys are for. */
  #version: 4 | 5 | undefined;
  /** Why the last request could not even be sent; for `sources`. */
  lastError: string | undefined;
  /** Whose other name this is, while that one speaks for the same server. */
  duplicateOf: string | undefined;

  constructor(context: RunnerContext, options: RunnerOptions) {
    this.#context = context;
    this.options = options;
    this.#trouble = new Trouble((message, wrong) => context.trouble(this, message, wrong));
    context.core.open(options.index, options);
    if (options.establish) {
      this.#link = new NtsLink(options.establish, () => Number(context.clock.monotonic()) / 1e9);
      context.core.useNts(options.index, (bytes) => context.host.random(bytes));
    } else {
      this.#target = options.source;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The address asked now. */
  get endpoint(): Endpoint | undefined {
    return this.#endpoints[Math.max(0, this.#turn) % Math.max(1, this.#endpoints.length)];
  }

  get claimed(): Endpoint | undefined {
    return this.#closed ? undefined : this.#claimed;
  }

  get standing(): "heard" | "asking" | "silent" {
    if (this.#answered) return "heard";
    return this.#unanswered < PATIENCE ? "asking" : "silent";
  }

  /** Another source was heard: stand back if it speaks for the same server. */
  reconsider(): void {
    const speaker = this.#claimed && this.#context.speaker(this, this.#claimed);
    if (speaker) this.#ask();
  }

  /** Look the name up and ask for the first time. */
  async start(): Promise<void> {
    await this.#resolve();
    this.#ask();
  }

  /** Ask now instead of when the timer says, for instance after the clock jumped; but no sooner than servers bear. */
  askNow(): void {
    // The first request waits for the name.
    if (this.#askedNs === undefined) return;
    const poll = Math.max(BURST_POLL, this.#context.core.source(this.options.index).pollFloor);
    this.#schedule(this.#askedNs + NS_PER_SECOND * BigInt(2 ** poll));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#releaseTimer);
    this.#socket?.close();
    this.#link?.close();
    this.#context.core.close(this.options.index);
  }

  /** One look-up at a time. Never rejects. */
  #resolve(): Promise<void> {
    this.#answered = false;
    return (this.#lookup ??= this.#lookUp().finally(() => (this.#lookup = undefined)));
  }

  async #lookUp(): Promise<void> {
    const { endpoint, taken } = this.options;
    if (!this.#target) return;
    try {
      if (endpoint && this.#endpoints.length === 0) {
        this.#endpoints = [endpoint];
        return;
      }
      const found = await endpointsOf(this.#context.host, this.#target);
      this.#trouble.ends("name", () => `its name resolves: ${found.map(({ address }) => address).join(", ")}`);
      // A member of a pool that is lost is replaced by one that nobody else asks; without one it goes on as it was.
      const fresh = taken ? found.filter((one) => !taken(one)).slice(0, 1) : found;
      if (fresh.length > 0) this.#endpoints = fresh;
    } catch (error) {
      // The old addresses, if any, are better than none.
      this.lastError = (error as Error).message;
      if (!this.#closed) this.#trouble.begins("name", this.lastError);
    }
  }

  /** The timer's time has come. */
  #due(): void {
    if (this.#endpoints.length === 0) void this.#resolve();
    if (this.duplicateOf === undefined) return this.#ask();
    // Its name may have another address by now.
    void this.#resolve().then(() => this.#ask());
  }

  /** The next address whose server no other source speaks for; where there is none, the one that does. */
  #choose(): SourceRunner | undefined {
    const count = this.#endpoints.length;
    let speaker: SourceRunner | undefined;
    const next = this.#answered ? this.#turn : this.#turn + 1;
    for (let turn = next; turn < next + Math.max(1, count); turn++) {
      const endpoint = this.#endpoints[turn % count];
      const other = endpoint && this.#context.speaker(this, endpoint);
      speaker ??= other;
      if (other) continue;
      if (turn !== this.#turn) this.#answered = false;
      this.#turn = turn;
      this.#claimed = endpoint;
      this.duplicateOf = undefined;
      return undefined;
    }
    return speaker;
  }

  /** Nothing is asked, and what was believed has no say, while `speaker` speaks for the server. */
  #standBack({ options: { source } }: SourceRunner): void {
    const { core, clock } = this.#context;
    this.#claimed = undefined;
    this.#answered = false;
    this.#unanswered = 0;
    this.#request += 1;
    this.#socket?.close();
    this.#socket = undefined;
    this.duplicateOf = source.text;
    this.lastError = `duplicate of ${source.text}: a server has one vote`;
    core.setAside(this.options.index);
    this.#trouble.begins("duplicate", this.lastError);
    this.#schedule(clock.monotonic() + STAND_BACK_NS);
  }

  #ask(): void {
    if (this.#closed) return;
    const { core, clock, host } = this.#context;
    const speaker = this.#choose();
    if (speaker) return this.#standBack(speaker);
    this.#unanswered += 1;
    const random = new DataView(host.random(new Uint8Array(8)).buffer).getBigUint64(0);
    const now = clock.monotonic();
    this.#askedNs = now;
    const actions = core.timer(this.options.index, now, random);
    this.#obey(actions, now);
    if (actions.send) void this.#send(actions.send, ++this.#request);
  }

  /** Establish keys, then ask; after a failure, which counts as a request without an answer, try again later. */
  async #establish(link: NtsLink): Promise<void> {
    const { core, clock } = this.#context;
    const result = await link.establish();
    if (this.#closed || result.kind === "busy") return;
    if (result.kind === "failed") {
      this.lastError = result.error.message;
      this.#trouble.begins("keys", this.lastError);
      return this.#schedule(clock.monotonic() + BigInt(Math.round(result.retryAfter * 1e9)));
    }
    const { keys } = result;
    this.#trouble.ends("keys", () => "its keys are established");
    core.ntsKeys(this.options.index, keys);
    this.#useVersion(keys.version ?? 4, keys.draft ?? 0);
    this.#target = { ...this.options.source, host: keys.host, port: keys.port };
    this.#endpoints = [];
    await this.#resolve();
    if (!this.#closed) this.#ask();
  }

  /** Keys are for one version of NTP alone. */
  #useVersion(version: 4 | 5, draft: number): void {
    const { index, version: wanted, serving = false } = this.options;
    if (wanted === 3 || wanted === 4) return;
    // What was learnt of a server that goes on with the same version stays.
    if (version === this.#version) return;
    this.#version = version;
    this.#context.core.useVersion(index, version, serving);
    if (version === 5) this.#context.core.useDraft(index, draft);
  }

  /** Whether `request` is still the one under way. */
  #current(request: number): boolean {
    return !this.#closed && request === this.#request;
  }

  /** Never rejects. */
  async #send(packet: Uint8Array, request: number): Promise<void> {
    this.#socket?.close();
    this.#socket = undefined;
    try {
      if (this.endpoint) await this.#sendTo(this.endpoint, packet, request);
    } catch (error) {
      this.#failed(request, error as Error);
    }
  }

  #failed(request: number, error: Error): void {
    if (this.#current(request)) this.lastError = error.message;
  }

  async #sendTo(endpoint: Endpoint, packet: Uint8Array, request: number): Promise<void> {
    const { host, core, clock } = this.#context;
    const early = new EarlyDatagrams();
    let take = (datagram: Datagram) => early.hold(datagram);
    const handlers = { onDatagram: (datagram: Datagram) => take(datagram), onError: (error: Error) => this.#failed(request, error) };
    const socket = await host.openUdp!({ family: endpoint.address.includes(":") ? 6 : 4, connect: endpoint }, handlers, "kernel");
    if (!this.#current(request)) return socket.close();
    this.#socket = socket;
    core.address(this.options.index, endpoint.address);
    const { sentNs } = await socket.send(packet, endpoint);
    // Its t1 belongs to no later request.
    if (!this.#current(request)) return;
    core.sent(this.options.index, clock.carry(sentNs).time);
    take = (datagram) => {
      if (this.#current(request)) this.#take(datagram, endpoint);
    };
    this.#release(request, ANSWER_LIMIT_MS);
    early.release(take);
  }

  /** Close the socket of `request`: what is waited for is looked at again and again, which many sources would feel. */
  #release(request: number, afterMs: number): void {
    clearTimeout(this.#releaseTimer);
    this.#releaseTimer = setTimeout(() => {
      if (!this.#current(request)) return;
      this.#socket?.close();
      this.#socket = undefined;
    }, afterMs);
  }

  /** Only from whom it was asked. */
  #take(datagram: Datagram, endpoint: Endpoint): void {
    if (datagram.from.port !== endpoint.port || !sameAddress(datagram.from.address, endpoint.address)) return;
    const { core, clock, watch } = this.#context;
    watch();
    const came = clock.carry(datagram.receivedNs);
    const now = clock.monotonic();
    this.#obey(core.reply(this.options.index, datagram.data, came, now), now);
    if (!core.awaiting(this.options.index)) this.#release(this.#request, 0);
  }

  #schedule(timeNs: bigint): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = timerAt(this.#context.clock, timeNs, () => this.#due());
  }

  #obey(actions: Actions, nowNs: bigint): void {
    if (actions.timerNs !== undefined) this.#schedule(actions.timerNs);
    if (actions.resolve) void this.#resolve();
    if (actions.establish && this.#link) void this.#establish(this.#link);
    if (actions.steer || actions.heard) {
      this.#hear();
    }
    steerOrStop(this, this.#context, actions, nowNs);
  }

  /** A usable answer came. */
  #hear(): void {
    const first = !this.#answered;
    this.#answered = true;
    this.#unanswered = 0;
    this.#link?.proven();
    this.lastError = undefined;
    if (!first) return;
    this.#trouble.ends("duplicate", () => "it is a server of its own now");
    this.#context.heard(this);
  }
}
