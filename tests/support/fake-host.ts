// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A host in memory: a network whose every endpoint follows a script, a table of names, a clock with an error of one's choice.
 *
 * Time is vitest's: call `vi.useFakeTimers()` before making one and `inVirtualTime` to let it pass. Replies are written by the
 * real core, so they are right to the octet unless a script spoils them. Like Deno's, its sockets do not filter by sender.
 *
 * @module
 */

import { vi } from "vitest";
import type { Datagram, Endpoint, Host, HostClock, ResolvedAddress, UdpHandlers, UdpOptions, UdpSocket } from "../../hosts/common/host.ts";
import { ServerCore, type ServerState } from "../../hosts/common/server/state.ts";

/** When the virtual world begins, ns since 1970: after the era of 2036 would be as good. */
const BEGINNING = 1_900_000_000_000_000_000n;

/** The true time, ns since 1970. */
export function trueNs(): bigint {
  return BEGINNING + BigInt(Math.round(performance.now() * 1e6));
}

/** A request on its way to an endpoint's script. */
export interface FakeRequest {
  readonly data: Uint8Array;
  /** The endpoint it was sent to. */
  readonly to: Endpoint;
  /** Where it came from. */
  readonly from: Endpoint;
  /** Deliver a datagram to the asker, `ms` from now (not at all if its socket is closed by then). */
  deliver(data: Uint8Array, ms: number, from?: Endpoint): void;
  /** Report an asynchronous error to the asker, as an ICMP message would. */
  refuse(error: Error): void;
}

/** How an endpoint behaves. */
export interface Behaviour {
  /** Opening a socket connected to it fails. */
  readonly openFails?: Error;
  /** Opening takes so long, ms. */
  readonly openTakes?: number;
  /** Sending to it fails. */
  readonly sendFails?: Error;
  /** `send()` settles only after so long, ms; never when infinite. */
  readonly sendTakes?: number;
  readonly onRequest?: (request: FakeRequest) => void;
}

/** A server's clock, path and words. */
export interface Answering extends Partial<ServerState> {
  /** How far its clock is ahead of the truth, s. */
  offset?: number;
  /** Way there and back, ms. */
  there?: number;
  back?: number;
  /** What happens to its reply: other octets, none, or several datagrams. */
  spoil?: (reply: Uint8Array) => Uint8Array | readonly Uint8Array[];
  /** Another sender than the endpoint asked. */
  from?: Partial<Endpoint>;
}

/** An honest stratum-1 server, but for what is said otherwise. */
export function answers(options: Answering = {}): Behaviour {
  const { offset = 0, there = 5, back = there, spoil = (reply) => reply, from } = options;
  const clock = () => trueNs() + BigInt(Math.round(offset * 1e9));
  const state: ServerState = { stratum: 1, leap: 0, rootDelay: 0, rootDispersion: 0.001, precision: 1e-6, refid: undefined, kiss: undefined, ...options };
  let server: ServerCore | undefined;
  return {
    onRequest(request) {
      setTimeout(() => {
        const reply = (server ??= new ServerCore(state, clock)).answer(request.data)?.slice();
        if (!reply) return;
        for (const datagram of [spoil(reply)].flat()) request.deliver(datagram, back, { ...request.to, ...from });
      }, there);
    },
  };
}

/** A server that sends a kiss. */
export function kisses(code = "RATE", options: Answering = {}): Behaviour {
  return answers({ kiss: code, ...options });
}

/** Takes requests and never answers. */
export const silent: Behaviour = {};

/** Refuses as a closed port does: by an error on the connected socket. */
export const refuses: Behaviour = { onRequest: (request) => setTimeout(() => request.refuse(errorOf("ECONNREFUSED")), 1) };

/** A family without a route. */
export const unroutable: Behaviour = { sendFails: errorOf("ENETUNREACH") };

/** Octets that nobody asked for, `ms` after each request, and then what `then` does. */
export function preceded(junk: readonly Uint8Array[], then: Behaviour): Behaviour {
  return {
    ...then,
    onRequest(request) {
      for (const data of junk) request.deliver(data, 1);
      then.onRequest?.(request);
    },
  };
}

/** An error as runtimes make them. */
export function errorOf(code: string): Error & { code: string } {
  return Object.assign(new Error(`${code}: made up by the fake host`), { code });
}

/** A copy with one octet replaced. */
export function withOctet(data: Uint8Array, at: number, value: number): Uint8Array {
  const copy = data.slice();
  copy[at] = value;
  return copy;
}

interface Asked {
  readonly address: string;
  readonly port: number;
  /** Virtual ms since the host was made. */
  readonly at: number;
  /** The local port it was asked from. */
  readonly localPort: number;
  readonly data: Uint8Array;
}

type Name = readonly string[] | Error | { readonly after: number; readonly addresses: readonly string[] };

export class FakeHost implements Host {
  readonly runtime = "node";
  readonly version = "0";
  readonly clock: HostClock;
  /** Every request that was sent, in order. */
  readonly asked: Asked[] = [];
  /** Every socket that was opened. */
  readonly sockets: FakeSocket[] = [];
  readonly names = new Map<string, Name>();
  readonly #scripts = new Map<string, readonly Behaviour[]>();
  readonly #born = performance.now();
  #ports = 50_000;
  #randomness = 1;

  /** `clockError`: how far this host's clock is ahead of the truth, s. */
  constructor({ clockError = 0, precision = 1e-6 }: { clockError?: number; precision?: number } = {}) {
    const errorNs = BigInt(Math.round(clockError * 1e9));
    this.clock = {
      now: () => trueNs() + errorNs,
      monotonic: () => BigInt(Math.round(performance.now() * 1e6)),
      precision,
      description: "virtual",
    };
  }

  /** Script an endpoint: the n-th request meets the n-th behaviour, further ones the last. An unknown endpoint is silent. */
  at(address: string, ...script: Behaviour[]): this {
    this.#scripts.set(address.includes(" ") ? address : `${address} 123`, script);
    return this;
  }

  /** Script a name. */
  name(name: string, what: Name): this {
    this.names.set(name, what);
    return this;
  }

  get openSockets(): FakeSocket[] {
    return this.sockets.filter(({ closed }) => !closed);
  }

  /** Addresses in the order asked. */
  get order(): string[] {
    return this.asked.map(({ address }) => address);
  }

  /** When an address was asked, virtual ms. */
  times(address: string): number[] {
    return this.asked.filter((request) => request.address === address).map(({ at }) => at);
  }

  /** Repeatable, never zero. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return bytes.map((_, index) => ((this.#randomness += 0x9e37) >> (index & 7)) & 0xff);
  }

  async resolve(name: string): Promise<ResolvedAddress[]> {
    const known = this.names.get(name) ?? errorOf("ENOTFOUND");
    if (known instanceof Error) throw known;
    const slow = "after" in known;
    if (slow) await pass(known.after);
    return (slow ? known.addresses : known).map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  }

  async openUdp(options: UdpOptions, handlers: UdpHandlers): Promise<UdpSocket> {
    const peer = options.connect;
    const { openFails, openTakes } = peer ? this.#script(peer, this.#count(peer)) : {};
    if (openTakes !== undefined) await pass(openTakes);
    if (openFails) throw openFails;
    const socket = new FakeSocket(this, options, handlers, ++this.#ports);
    this.sockets.push(socket);
    return socket;
  }

  /** What a socket does to send. */
  transmit(socket: FakeSocket, data: Uint8Array, to: Endpoint): Behaviour {
    const behaviour = this.#script(to, this.#count(to));
    this.asked.push({ ...to, at: Math.round(performance.now() - this.#born), localPort: socket.local.port, data: data.slice() });
    const request: FakeRequest = {
      data: data.slice(),
      to,
      from: socket.local,
      deliver: (reply, ms, from = to) => void setTimeout(() => socket.receive(reply, from, this.clock.now()), ms),
      refuse: (error) => socket.fail(error),
    };
    if (!behaviour.sendFails) behaviour.onRequest?.(request);
    return behaviour;
  }

  #count({ address, port }: Endpoint): number {
    return this.asked.filter((request) => request.address === address && request.port === port).length;
  }

  #script({ address, port }: Endpoint, count: number): Behaviour {
    const script = this.#scripts.get(`${address} ${port}`) ?? [];
    return script[Math.min(count, script.length - 1)] ?? silent;
  }
}

export class FakeSocket implements UdpSocket {
  readonly stamps = "user";
  readonly local: Endpoint;
  readonly options: UdpOptions;
  closed = false;
  readonly #host: FakeHost;
  readonly #handlers: UdpHandlers;

  constructor(host: FakeHost, options: UdpOptions, handlers: UdpHandlers, port: number) {
    this.#host = host;
    this.#handlers = handlers;
    this.options = options;
    this.local = { address: options.family === 6 ? "::" : "0.0.0.0", port: options.port || port };
  }

  async send(data: Uint8Array, to = this.options.connect): Promise<{ sentNs: bigint; stamp: "user" }> {
    if (this.closed) throw errorOf("EBADF");
    if (!to) throw errorOf("EDESTADDRREQ");
    const sentNs = this.#host.clock.now();
    const { sendFails, sendTakes } = this.#host.transmit(this, data, to);
    if (sendFails) throw sendFails;
    if (sendTakes !== undefined) await pass(sendTakes);
    return { sentNs, stamp: "user" };
  }

  /** The buffer is lent for the time of the call only, as the contract says: it is spoilt afterwards. */
  receive(data: Uint8Array, from: Endpoint, receivedNs: bigint): void {
    if (this.closed) return;
    const lent = data.slice();
    const datagram: Datagram = { data: lent, from, receivedNs, stamp: "user" };
    this.#handlers.onDatagram(datagram);
    lent.fill(0xee);
  }

  fail(error: Error): void {
    if (!this.closed) this.#handlers.onError(error);
  }

  close(): void {
    this.closed = true;
  }
}

/** Virtual time passes; for ever when infinite, without a timer. */
function pass(ms: number): Promise<void> {
  return new Promise((resolve) => (Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined));
}

/** How a call ended, and after how many virtual ms. */
export type Ending<T> = { readonly value: T; readonly error?: undefined; readonly ms: number } | { readonly value?: undefined; readonly error: unknown; readonly ms: number };

/** The real one, taken before vitest's stands in for it: lets every promise that can settle do so. */
const realSetImmediate = setImmediate;
const promisesSettle = () => new Promise<void>((resolve) => void realSetImmediate(resolve));

/** More than any test has timers. */
const STEPS = 10_000;

/** Let virtual time pass from timer to timer until `call` has settled. A call that nothing can settle any more is an error. */
export async function inVirtualTime<T>(call: () => Promise<T>): Promise<Ending<T>> {
  const start = performance.now();
  let ending: Ending<T> | undefined;
  const ms = () => Math.round(performance.now() - start);
  call().then(
    (value) => (ending = { value, ms: ms() }),
    (error: unknown) => (ending = { error, ms: ms() }),
  );
  await promisesSettle();
  for (let steps = 0; steps < STEPS && !ending; steps++) {
    if (vi.getTimerCount() === 0) throw new Error("the call hangs: it has not settled and no timer is left");
    vi.advanceTimersToNextTimer();
    await promisesSettle();
  }
  if (!ending) throw new Error(`the call has not settled after ${STEPS} timers`);
  return ending;
}
