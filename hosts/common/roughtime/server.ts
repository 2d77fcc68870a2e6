// SPDX-License-Identifier: MIT OR Apache-2.0
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A Roughtime server (RFC 10049 §5.2) over UDP and TCP: requests that come close together share a tree and a signature.
 *
 * It signs what this host's clock says, so it answers nobody while the caller's `radius` cannot bound that clock's error or
 * no delegation holds. It answers no request of less than 1024 octets over UDP, none with more than was asked, none too
 * often. Its queue, its table of addresses and its connections are bounded. Tested in server.test.ts and tests/interop.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Datagram, Endpoint, Host, UdpSocket } from "../host.ts";
import type { ByteStream, TcpListener } from "../stream.ts";
import { formatEndpoint } from "../address.ts";
import { BATCH, BatchCore, type Pending } from "./batch.ts";
import { signerOf, type Signer } from "./ed25519.ts";
import { Greaser } from "./grease.ts";
import { currentDelegation, type Delegation, type ServerKeys } from "./keys.ts";
import { AddressLimit } from "./limit.ts";
import { packetsOf } from "./packets.ts";

export interface RoughtimeServeOptions {
  /** Where to listen, UDP and TCP alike; port 0 for any free one. */
  readonly listen: readonly Endpoint[];
  /** The public half of the long-term key, and delegations. */
  readonly keys: ServerKeys;
  /**
   * How far this host's clock may be off, s: its root distance. Undefined while that is not known: then nobody is answered.
   * The radius that is signed is this and half a second, rounded up, and at least `leastRadius`.
   */
  readonly radius: () => number | undefined;
  /** s. Default 3, as a server without leap second information must say; 1 for one that has it. */
  readonly leastRadius?: number;
  /** The fraction of answers that are greased (see grease.ts), 0..0.5. Default 1/256. */
  readonly grease?: number;
  /** Listen by TCP, too. Default: where the host can. */
  readonly tcp?: boolean;
  /** Requests of one address answered per second on average, and at once. Defaults 16 and 64. A rate of 0: no limit. */
  readonly rate?: number;
  readonly burst?: number;
  /** How long requests are gathered before they are answered together, ms, 0..100. Default 1. */
  readonly gather?: number;
  /** The clock to sign: ns since 1970. Default this host's. */
  readonly clock?: () => bigint;
}

/** What a server has seen since its start. */
export interface RoughtimeServerStats {
  /** Requests received, over UDP and TCP. */
  readonly received: number;
  /** Answers, greased ones among them. */
  readonly answered: number;
  readonly greased: number;
  /** Requests that had no right to an answer. */
  readonly dropped: number;
  /** Requests over the limit of their address, and those the queue had no room for. */
  readonly limited: number;
  /** Requests that came while there was no time, or no delegation, to sign. */
  readonly unready: number;
  /** Signatures made; each is of up to 64 answers. */
  readonly signatures: number;
}

export interface RoughtimeServer extends AsyncDisposable {
  /** Where it listens. */
  readonly addresses: readonly (Endpoint & { readonly transport: "udp" | "tcp" })[];
  readonly stats: RoughtimeServerStats;
  /** Use these delegations from now on; of the same long-term key. @throws {NtpError} `INVALID_ARGUMENT` */
  renew(keys: ServerKeys): void;
  /** Stop listening; idempotent. */
  close(): Promise<void>;
}

/** RFC 10049 §5.1. */
const LEAST_UDP_MESSAGE = 1024;
const LEAST_RADIUS = 3;
const RESOLUTION_S = 0.5;
const NS_PER_S = 1_000_000_000n;
/** Requests that wait: 32 batches, some 10 ms of work. */
const QUEUE_LIMIT = 2048;
const MOST_CONNECTIONS = 256;
/** A connection on which nothing comes for so long is closed, ms. */
const IDLE_MS = 10_000;

/**
 * Serve Roughtime.
 *
 * @throws {NtpError} `SOCKET` when an address cannot be bound, `UNSUPPORTED` where there is no UDP, `INVALID_ARGUMENT`.
 */
export async function serveRoughtime(host: Host, options: RoughtimeServeOptions): Promise<RoughtimeServer> {
  if (!host.openUdp) throw new NtpError("UNSUPPORTED", `${host.runtime} has no UDP sockets to serve on`);
  const server = new RunningServer(host, checked(options, host));
  try {
    await server.bind();
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

type Checked = Required<Omit<RoughtimeServeOptions, "keys" | "listen">> & Pick<RoughtimeServeOptions, "keys" | "listen">;

/** @throws {NtpError} `INVALID_ARGUMENT` */
function checked(options: RoughtimeServeOptions, host: Host): Checked {
  const { leastRadius = LEAST_RADIUS, grease = 1 / 256, rate = 16, burst = 64, gather = 1, tcp = host.listenTcp !== undefined, clock = () => host.clock.now() } = options;
  const wrong = (what: string, got: unknown) => new NtpError("INVALID_ARGUMENT", `expected ${what}, got ${String(got)}`);
  if (options.listen.length === 0) throw wrong("at least one address to listen on", "none");
  if (options.keys.delegations.length === 0) throw wrong("at least one delegation", "none");
  if (!(Number.isInteger(leastRadius) && leastRadius >= 1 && leastRadius <= 86400)) throw wrong("a leastRadius of 1..86400 whole seconds", leastRadius);
  if (!(grease >= 0 && grease <= 0.5)) throw wrong("a grease of 0..0.5", grease);
  if (!(rate >= 0 && Number.isFinite(rate))) throw wrong("a rate of 0 or more", rate);
  if (!(burst >= 1 && Number.isFinite(burst))) throw wrong("a burst of 1 or more", burst);
  if (!(gather >= 0 && gather <= 100)) throw wrong("a gather of 0..100 ms", gather);
  if (tcp && !host.listenTcp) throw new NtpError("UNSUPPORTED", `${host.runtime} cannot listen by TCP here`);
  return { ...options, leastRadius, grease, rate, burst, gather, tcp, clock };
}

class RunningServer implements RoughtimeServer {
  readonly #host: Host;
  readonly #options: Checked;
  readonly #core: BatchCore;
  readonly #greaser: Greaser;
  readonly #limit: AddressLimit | undefined;
  readonly #sockets: UdpSocket[] = [];
  readonly #listeners: TcpListener[] = [];
  readonly #streams = new Set<ByteStream>();
  readonly #counts = { received: 0, answered: 0, greased: 0, dropped: 0, limited: 0, unready: 0, signatures: 0 };
  readonly #signers = new WeakMap<Delegation, Promise<Signer>>();
  readonly #queue: Pending[] = [];
  #keys: ServerKeys;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #working = false;
  #closed = false;

  constructor(host: Host, options: Checked) {
    this.#host = host;
    this.#options = options;
    this.#keys = options.keys;
    this.#core = new BatchCore(options.keys.publicKey);
    this.#greaser = new Greaser(host, options.grease);
    const salt = new DataView(host.random(new Uint8Array(4)).buffer).getUint32(0);
    this.#limit = options.rate > 0 ? new AddressLimit({ rate: options.rate, burst: options.burst, salt }) : undefined;
  }

  get addresses() {
    const of = (transport: "udp" | "tcp") => ({ local }: { local: Endpoint }) => ({ ...local, transport });
    return [...this.#sockets.map(of("udp")), ...this.#listeners.map(of("tcp"))];
  }

  get stats(): RoughtimeServerStats {
    return { ...this.#counts };
  }

  renew(keys: ServerKeys): void {
    if (keys.publicKey.join() !== this.#keys.publicKey.join()) throw new NtpError("INVALID_ARGUMENT", "expected delegations of the same long-term key, got those of another");
    this.#keys = keys;
  }

  async bind(): Promise<void> {
    for (const endpoint of this.#options.listen) {
      try {
        const socket = await this.#openUdp(endpoint);
        this.#sockets.push(socket);
        if (!this.#options.tcp) continue;
        const accept = (stream: ByteStream, from: Endpoint) => void this.#serveStream(stream, from);
        this.#listeners.push(await this.#host.listenTcp!({ endpoint: { ...endpoint, port: socket.local.port }, maxConnections: MOST_CONNECTIONS }, accept));
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new NtpError("SOCKET", `could not listen for Roughtime on ${formatEndpoint(endpoint)}: ${why}`, { cause });
      }
    }
  }

  async #openUdp({ address, port }: Endpoint): Promise<UdpSocket> {
    // The handler needs the socket that its datagrams came by, and the first may come before open() has returned.
    let socket: UdpSocket | undefined;
    const onDatagram = ({ data, from }: Datagram) => {
      if (socket) this.#take(data, from, LEAST_UDP_MESSAGE, (answer) => void socket?.send(answer, from).catch(() => {}));
    };
    socket = await this.#host.openUdp!({ family: address.includes(":") ? 6 : 4, address, port }, { onDatagram, onError: () => {} });
    return socket;
  }

  /** Many requests may be under way on a connection; answers go out as they are ready (§5). */
  async #serveStream(stream: ByteStream, from: Endpoint): Promise<void> {
    this.#streams.add(stream);
    const idle = () => setTimeout(() => stream.close(), IDLE_MS);
    let timer = idle();
    try {
      for await (const packet of packetsOf(stream)) {
        clearTimeout(timer);
        timer = idle();
        this.#take(packet, from, 0, (answer) => void stream.write(answer).catch(() => stream.close()));
      }
    } catch {
      // Not Roughtime, or the connection broke: closed either way (§5), and never logged.
    } finally {
      clearTimeout(timer);
      this.#streams.delete(stream);
      stream.close();
    }
  }

  #take(data: Uint8Array, from: Endpoint, least: number, send: (answer: Uint8Array) => void): void {
    this.#counts.received += 1;
    if (data.length - 12 < least || data.length > this.#core.longest) return void (this.#counts.dropped += 1);
    const now = Number(this.#host.clock.monotonic()) / 1e9;
    if (this.#queue.length >= QUEUE_LIMIT || this.#limit?.allows(from.address, now) === false) return void (this.#counts.limited += 1);
    const reply = (answer: Uint8Array) => {
      const { packet, grease } = this.#greaser.pass(answer, data.length);
      this.#counts.answered += 1;
      if (grease) this.#counts.greased += 1;
      send(packet);
    };
    // A copy: the runtime lends its buffer for the time of the call only.
    this.#queue.push({ data: data.slice(), least, reply });
    if (this.#queue.length >= BATCH) void this.#work();
    else this.#timer ??= setTimeout(() => void this.#work(), this.#options.gather);
  }

  /** Batch after batch, one at a time. */
  async #work(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#working) return;
    this.#working = true;
    try {
      while (this.#queue.length > 0 && !this.#closed) await this.#answer(this.#queue.splice(0, BATCH));
    } finally {
      this.#working = false;
    }
  }

  async #answer(batch: readonly Pending[]): Promise<void> {
    const nowNs = this.#options.clock();
    const midpoint = (nowNs + NS_PER_S / 2n) / NS_PER_S;
    const error = this.#options.radius();
    const delegation = currentDelegation(this.#keys, midpoint);
    const radius = Math.max(this.#options.leastRadius, Math.ceil((error ?? NaN) + RESOLUTION_S));
    if (!delegation || !(radius < 2 ** 32)) return void (this.#counts.unready += batch.length);
    const { certificate } = delegation;
    try {
      const reading = { midpoint, radius, certificate, sign: await this.#signer(delegation) };
      const { answered, signatures } = await this.#core.answer(batch, reading);
      this.#counts.dropped += batch.length - answered;
      this.#counts.signatures += signatures;
    } catch {
      // A runtime that cannot sign just now: its clients ask again.
      this.#counts.unready += batch.length;
    }
  }

  #signer(delegation: Delegation): Promise<Signer> {
    let signer = this.#signers.get(delegation);
    if (!signer) this.#signers.set(delegation, (signer = signerOf(this.#host, delegation.seed)));
    return signer;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const socket of this.#sockets.splice(0)) socket.close();
    for (const stream of this.#streams) stream.close();
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
