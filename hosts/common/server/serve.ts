// SPDX-License-Identifier: MIT OR Apache-2.0
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A small NTP server on the runtime's own sockets: one per address, every request answered in the core.
 *
 * Its time is this host's clock, or one the caller gives. It is unsynchronised (leap 3, stratum 0) until told a stratum.
 * Malformed and unanswerable requests are counted, never logged. Tested in serve.test.ts and tests/interop.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Datagram, Endpoint, Host, UdpSocket } from "../host.ts";
import type { ClientState, ServerCounters } from "./clients.ts";
import { checkedFeatures, checkedReconfiguration, type Reconfiguration, type ServerFeatures } from "./features.ts";
import { checkedSmear } from "./smear.ts";
import { ServerCore, type ServerState } from "./state.ts";

export interface ServeOptions extends ServerFeatures {
  /** Addresses to bind. Default: the IPv4 and the IPv6 wildcard. */
  listen?: readonly string[];
  /** UDP port, 0 for any free one (the same for all addresses). Default 123. */
  port?: number;
  /** 1..15. Without it the server says that it is not synchronised. */
  stratum?: number;
  /** What it is synchronised to: up to four ASCII letters at stratum 1, an IPv4 address above. Default "LOCL" or 127.127.1.1. */
  refid?: string;
  /** Leap indicator 0..2. Default 0. */
  leap?: 0 | 1 | 2;
  /** When the leap second comes, ns since 1970. It is then announced for the day before it, and not after. Default: as long as `leap` says. */
  leapAtNs?: bigint;
  /** Delay and dispersion to the reference clock, s, 0..16. Defaults 0 and 0.01: of the host's clock nothing better is known. */
  rootDelay?: number;
  rootDispersion?: number;
  /** The clock to serve: nanoseconds since 1970. Default this host's wall clock. */
  clock?: () => bigint;
  /** Answer every request with this kiss code instead of time, for instance "DENY" while a service is being closed down. */
  kiss?: string;
}

/** What a server says of its clock; what is absent is as in {@link ServeOptions}. */
export interface ServerUpdate extends Pick<ServeOptions, "stratum" | "leap" | "leapAtNs" | "rootDelay" | "rootDispersion"> {
  /** As a text, or its 32 bits. */
  refid?: string | number;
  /** When the clock was last compared with its source, ns since 1970. */
  referenceNs?: bigint;
  /** How fast rootDispersion grows from now on, s/s, 0..0.001. Default 0.000015 where `referenceNs` is told, else 0. */
  dispersionRate?: number;
  /** Root distance, s, beyond which the server says that it is not synchronised. Default 3 where `referenceNs` is told, else none. */
  maxDistance?: number;
}

/** What the server has seen since its start. */
export interface ServerStats {
  /** Datagrams received. */
  readonly received: number;
  /** Answers sent, kisses among them. */
  readonly answered: number;
  /** Datagrams that had no right to an answer. */
  readonly dropped: number;
  /** Answers that the socket refused to send. */
  readonly failed: number;
}

/** A running server. */
export interface Server extends AsyncDisposable {
  /** Where it listens. */
  readonly addresses: readonly Endpoint[];
  readonly stats: ServerStats;
  /** What became of all datagrams, by reason. */
  readonly counters: ServerCounters;
  /** Who has asked; empty without `clientLog` or `rateLimit`. */
  clients(): ClientState[];
  /** Change access rules, rate limit or client log at work, all at once; no request is lost. @throws {NtpError} `INVALID_ARGUMENT` */
  configure(options: Reconfiguration): void;
  /** Say something else of the clock from now on. @throws {NtpError} `INVALID_ARGUMENT` */
  update(update: ServerUpdate): void;
  /** Stop listening; idempotent. */
  close(): Promise<void>;
}

const DEFAULT_LISTEN = ["0.0.0.0", "::"] as const;
/** How often a free port is looked for that all addresses can have. */
const PORT_TRIES = 8;

/** See {@link Escapement.serve}. */
export async function serve(host: Host, options: ServeOptions = {}): Promise<Server> {
  if (!host.openUdp) throw new NtpError("UNSUPPORTED", `${host.runtime} has no UDP sockets to serve on`);
  const report = typeof options.control === "object" ? options.control.report : undefined;
  const extras = { features: checkedFeatures(options), smear: checkedSmear(options.smear), report, random: host.random };
  const state = new ServerCore(checkedState(options, host), options.clock ?? (() => host.clock.now()), extras);
  const server = new RunningServer(host, state, options.clock !== undefined);
  await server.bind(options.listen ?? DEFAULT_LISTEN, options.port ?? 123, options.listen === undefined);
  return server;
}

class RunningServer implements Server {
  readonly #sockets: UdpSocket[] = [];
  readonly #counts = { received: 0, answered: 0, dropped: 0, failed: 0 };

  readonly #host: Host;
  readonly #state: ServerCore;
  readonly #ownClock: boolean;

  constructor(host: Host, state: ServerCore, ownClock: boolean) {
    this.#host = host;
    this.#state = state;
    this.#ownClock = ownClock;
  }

  get addresses(): Endpoint[] {
    return this.#sockets.map(({ local }) => local);
  }

  get stats(): ServerStats {
    return { ...this.#counts };
  }

  get counters(): ServerCounters {
    return this.#state.counters;
  }

  clients(): ClientState[] {
    return this.#state.clients();
  }

  configure(options: Reconfiguration): void {
    this.#state.configure(checkedReconfiguration(options));
  }

  update(update: ServerUpdate): void {
    this.#state.update(checkedState(update, this.#host));
  }

  /** Bind all addresses to one port. `lenient`: a family that this host lacks is left out, as long as one remains. */
  async bind(listen: readonly string[], port: number, lenient: boolean): Promise<void> {
    for (let tries = port === 0 ? PORT_TRIES : 1; ; tries--) {
      try {
        return await this.#bindAll(listen, port, lenient);
      } catch (error) {
        await this.close();
        if (tries > 1) continue;
        throw error;
      }
    }
  }

  async #bindAll(listen: readonly string[], port: number, lenient: boolean): Promise<void> {
    let failure: unknown;
    for (const address of listen) {
      const wanted = this.#sockets[0]?.local.port ?? port;
      try {
        this.#sockets.push(await this.#open(address, wanted));
      } catch (cause) {
        failure = cause;
        if (!(lenient && isMissingFamily(cause))) throw this.#bindError(address, wanted, cause);
      }
    }
    if (this.#sockets.length === 0) throw this.#bindError(listen.join(", "), port, failure);
  }

  #open(address: string, port: number): Promise<UdpSocket> {
    const family = address.includes(":") ? 6 : 4;
    // The handler needs the socket that its datagrams came by, and the first may come before open() has returned.
    let socket: UdpSocket | undefined;
    const handlers = { onDatagram: (datagram: Datagram) => void (socket && this.#answer(socket, datagram)), onError: () => {} };
    return this.#host.openUdp!({ family, address, port }, handlers).then((opened) => (socket = opened));
  }

  #bindError(address: string, port: number, cause: unknown): NtpError {
    const why = cause instanceof Error ? cause.message : String(cause);
    const hint = port > 0 && port < 1024 ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE" : "";
    return new NtpError("SOCKET", `could not listen on ${address} port ${port}: ${why}${hint}`, { cause });
  }

  #answer(socket: UdpSocket, datagram: Datagram): void {
    this.#counts.received += 1;
    // With a clock of the caller's own, the host's receive stamp is on another scale: read that clock instead.
    const reply = this.#state.answer(datagram.data, this.#ownClock ? undefined : datagram.receivedNs, datagram.from);
    if (!reply) {
      const fragments = this.#state.controlAnswers();
      if (fragments.length === 0) this.#counts.dropped += 1;
      for (const fragment of fragments) socket.send(fragment, datagram.from).catch(() => (this.#counts.failed += 1));
      if (fragments.length > 0) this.#counts.answered += 1;
      return;
    }
    const stampWanted = this.#state.stampWanted();
    // A copy, as the next request overwrites the slot, maybe before the runtime has got round to sending this one.
    socket.send(reply.slice(), datagram.from).then(
      ({ sentNs }) => {
        this.#counts.answered += 1;
        if (stampWanted && !this.#ownClock) stampWanted(sentNs);
      },
      () => (this.#counts.failed += 1),
    );
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.splice(0)) socket.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function isMissingFamily(cause: unknown): boolean {
  const code = (cause as { code?: unknown } | undefined)?.code;
  return code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
function checkedState(options: Omit<ServeOptions, "refid"> & ServerUpdate, host: Host): ServerState {
  const { stratum, leap = 0, rootDelay = 0, rootDispersion = 0.01, kiss, refid } = options;
  const wrong = (what: string, got: unknown) => new NtpError("INVALID_ARGUMENT", `expected ${what}, got ${String(got)}`);
  if (stratum !== undefined && !(Number.isInteger(stratum) && stratum >= 1 && stratum <= 15)) throw wrong("a stratum of 1..15", stratum);
  if (![0, 1, 2].includes(leap)) throw wrong("a leap indicator of 0, 1 or 2", leap);
  if (!(rootDelay >= 0 && rootDelay < 16)) throw wrong("a rootDelay of 0..16 s", rootDelay);
  if (!(rootDispersion >= 0 && rootDispersion < 16)) throw wrong("a rootDispersion of 0..16 s", rootDispersion);
  if (kiss !== undefined && !/^[\x21-\x7e]{1,4}$/.test(kiss)) throw wrong("a kiss code of one to four ASCII characters", kiss);
  if (options.listen?.length === 0) throw wrong("at least one address to listen on", "none");
  const { dispersionRate, maxDistance, leapAtNs } = options;
  if (dispersionRate !== undefined && !(dispersionRate >= 0 && dispersionRate <= 1e-3)) throw wrong("a dispersionRate of 0..0.001 s/s", dispersionRate);
  if (maxDistance !== undefined && !(maxDistance > 0 && maxDistance <= 32)) throw wrong("a maxDistance of 0..32 s", maxDistance);
  const port = options.port ?? 123;
  if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) throw wrong("a port of 0..65535", port);
  return { stratum, leap, rootDelay, rootDispersion, kiss, refid, precision: host.clock.precision, referenceNs: options.referenceNs, leapAtNs, dispersionRate, maxDistance };
}
