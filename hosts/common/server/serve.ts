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
import { checkBroadcast } from "./broadcaster.ts";
import { checkCards, type CardOptions } from "../client/cards.ts";
import type { ClientState, ServerCounters } from "./clients.ts";
import { checkedFeatures, checkedReconfiguration, type Reconfiguration, type ServerFeatures } from "./features.ts";
import { drain } from "./drain.ts";
import { checkedSmear } from "./smear.ts";
import { serveInThreads } from "./crew.ts";
import type { KeServerStats } from "../nts/server.ts";
import type { NtsServeOptions, ServedNts } from "./establish.ts";
import type { CookieKeySet } from "./ntscookies.ts";
import { carry, type ClockReading } from "./reading.ts";
import { ServerCore, type ServerExtras, type ServerState } from "./state.ts";
import type { ServeThreads } from "./threads.ts";
import { whole } from "./whole.ts";

export interface ServeOptions extends ServerFeatures, CardOptions {
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
  /** TAI − UTC, whole seconds, 1..3600: NTPv5 clients that ask for TAI then get it. Default: not known, and they get UTC. */
  taiOffset?: number;
  /** UT1 − UTC, s, −1..1, as the IERS publishes it: the same for UT1. */
  ut1Offset?: number;
  /**
   * The clock to serve. Default this host's wall clock. A function (nanoseconds since 1970) is read for each answer, in this
   * thread; a clock of {@link startClock} is served by threads, with kernel stamps.
   */
  clock?: (() => bigint) | ServedClock;
  /** Answer every request with this kiss code instead of time, for instance "DENY" while a service is being closed down. */
  kiss?: string;
  /**
   * Threads that answer, 0..64: 0: this one. Default 1. More than one takes kernel sockets (Linux with FFI). A clock that is a
   * function can only be read in this thread, and a runtime without threads has no other.
   */
  workers?: number;
  /** Use the runtime's own sockets also where there are better ones. */
  portable?: boolean;
  /** Become this user once the sockets are bound (Linux with FFI, as root). The right to set the clock goes, too. */
  user?: string;
  /** Say the time unasked, to a broadcast address or a group, as long as the server is synchronised (Linux with FFI). */
  broadcast?: readonly BroadcastOptions[];
  /** Hear and answer on this network interface only (Linux with FFI). */
  interface?: string;
  /** Differentiated services code point of the answers, 0..63 (Linux with FFI); 46 is expedited forwarding. */
  dscp?: number;
  /** Tell the counters over HTTP, in OpenMetrics' form, at /metrics. `address`: default 127.0.0.1. `port` 0: any free one. */
  metrics?: { readonly address?: string; readonly port: number };
  /** Serve NTS as well: establish keys over TLS, and answer who brings cookies. Node and Bun. */
  nts?: NtsServeOptions;
  /** What happens to the server, for its owner's log. */
  onEvent?: (event: ServerEvent) => void;
}

/** One address that is told the time unasked. */
export interface BroadcastOptions {
  readonly address: string;
  /** Default 123. */
  readonly port?: number;
  /** Every so many seconds, 1..131072. Default 64. */
  readonly interval?: number;
  /** How many networks it may pass, 1..255. Default 1. */
  readonly ttl?: number;
  /** The interface by which it leaves; default as the routes say. */
  readonly interface?: string;
}

/** A clock that tells itself in terms of the host's wall clock. */
export interface ServedClock {
  reading(): ClockReading;
}

/** A thread died and will be started again; or was; cookie keys or a certificate could not be renewed: the old ones go on. */
export type ServerEvent =
  | { readonly kind: "keys-failed" | "certificate-failed"; readonly message: string }
  | { readonly kind: "thread-failed"; readonly message: string; readonly restartMs: number }
  | { readonly kind: "thread-restarted" };

/** What a server says of its clock; what is absent is as in {@link ServeOptions}. */
export interface ServerUpdate extends Pick<ServeOptions, "stratum" | "leap" | "leapAtNs" | "rootDelay" | "rootDispersion" | "taiOffset" | "ut1Offset"> {
  /** As a text, or its 32 bits. */
  refid?: string | number;
  /** When the clock was last compared with its source, ns since 1970. */
  referenceNs?: bigint;
  /** How fast rootDispersion grows from now on, s/s, 0..0.001. Default 0.000015 where `referenceNs` is told, else 0. */
  dispersionRate?: number;
  /** Root distance, s, beyond which the server says that it is not synchronised. Default 3 where `referenceNs` is told, else none. */
  maxDistance?: number;
  /** NTPv5's reference identifiers of all that the clock follows and of ourselves, 512 octets. Default: ours alone. */
  referenceIds?: Uint8Array;
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
  /** Requests not answered because the queue stood for too long; only in threads with kernel sockets. */
  readonly shed?: number;
  /** Of key establishment, with NTS. */
  readonly ke?: KeServerStats;
}

/** A running server. */
export interface Server extends AsyncDisposable {
  /** Where it listens. */
  readonly addresses: readonly Endpoint[];
  /** Where its metrics are to be had. */
  readonly metrics?: Endpoint | undefined;
  /** Key establishment, with NTS. */
  readonly nts?: ServedNts | undefined;
  readonly stats: ServerStats;
  /** What became of all datagrams, by reason. */
  readonly counters: ServerCounters;
  /** Who has asked; empty without `clientLog` or `rateLimit`. */
  clients(): Promise<ClientState[]>;
  /** Change access rules, rate limit, client log or keys at work, all at once; no request is lost. @throws {NtpError} `INVALID_ARGUMENT` */
  configure(options: Reconfiguration): void;
  /** Say something else of the clock from now on. @throws {NtpError} `INVALID_ARGUMENT` */
  update(update: ServerUpdate): void;
  /** Answer what has come already, and stop listening; idempotent. */
  close(): Promise<void>;
}

/** The part of a server that answers NTP, in this thread or in others. */
export interface NtpServing extends Server {
  /** Resolves once whoever answers opens cookies under these keys. @throws {NtpError} `INVALID_ARGUMENT` */
  holdCookieKeys(keys: CookieKeySet): Promise<void>;
}

/** 2^-14 s, 61 µs: 99 of 100 clients that ask an idle server see less, and see much more while its thread is busy. */
const USER_STAMP_PRECISION = 2 ** -14;
const KERNEL_SOCKETS = 'sockets of the kernel\'s in threads: Linux, FFI, a clock that is no function, no kiss for everybody, and not "portable"';
const DEFAULT_LISTEN = ["0.0.0.0", "::"] as const;
/** How often a free port is looked for that all addresses can have. */
const PORT_TRIES = 8;

/** See {@link Escapement.serve}. */
export async function serve(host: Host, options: ServeOptions = {}): Promise<Server> {
  if (!host.openUdp) throw new NtpError("UNSUPPORTED", `${host.runtime} has no UDP sockets to serve on`);
  checkedState(options, host);
  extrasOf(options, host);
  checkCards(options);
  const threads = threadsFor(host, options);
  const nts = options.nts && (await prepareNts(host, options.nts, options));
  // A new user must be able to read the keys again later: they are only touched as that user.
  const early = options.user === undefined ? await nts?.() : undefined;
  const server = await startNtp(host, threads, options, early?.keys).catch(async (error: unknown) => {
    await early?.close();
    throw error;
  });
  const keeper = early ?? (await nts?.().catch(async (error: unknown) => {
    await server.close();
    throw error;
  }));
  return whole(host, { server, keeper }, options);
}

function startNtp(host: Host, threads: ServeThreads | undefined, options: ServeOptions, keys: CookieKeySet | undefined): Promise<NtpServing> {
  return threads ? serveInThreads(host, threads, options, keys) : serveHere(host, options, keys);
}

/** Checks before anything is bound, and gives what reads the keys. @throws {NtpError} `UNSUPPORTED`, `INVALID_ARGUMENT` */
async function prepareNts(host: Host, nts: NtsServeOptions, { onEvent, kiss }: ServeOptions) {
  // Few servers need it, and it is large.
  const [{ NtsKeeper, checkNts }, { requireKeServer }] = await Promise.all([import("./establish.ts"), import("../nts/server.ts")]);
  requireKeServer(host);
  checkNts(nts);
  if (kiss !== undefined) throw new NtpError("INVALID_ARGUMENT", "expected no nts beside kiss, which answers nobody with time, got both");
  const trouble = (kind: "keys-failed" | "certificate-failed", message: string) => {
    try {
      onEvent?.({ kind, message });
    } catch {
      // What the listener makes of it is its own affair: the server goes on.
    }
  };
  return () => NtsKeeper.open(host, nts, trouble);
}

/** The threads to serve in, or undefined for this one. @throws {NtpError} `UNSUPPORTED` for what only kernel sockets can do */
function threadsFor(host: Host, options: ServeOptions): ServeThreads | undefined {
  const { workers = 1, clock } = options;
  const threads = workers === 0 || typeof clock === "function" ? undefined : host.serveThreads;
  if (threads?.openSockets && !options.portable && options.kiss === undefined) return threads;
  const { interface: device, dscp, user, broadcast } = options;
  const wanted = Object.entries({ "more than one worker": workers > 1 || undefined, interface: device, dscp, user, broadcast }).find(([, value]) => value !== undefined);
  if (wanted) throw new NtpError("UNSUPPORTED", `${wanted[0]} needs ${KERNEL_SOCKETS}`);
  if (options.hardwareTimestamps !== undefined) options.onSoftwareTimestamps?.(`a server's network cards need ${KERNEL_SOCKETS}`);
  // What tells ntpq about this host is known in this thread, and its sockets cannot be lent to it.
  if (!threads || options.control) return undefined;
  const { openSockets: _, ...portable } = threads;
  return portable;
}

/** Serve in this thread, on the runtime's own sockets. */
export async function serveHere(host: Host, options: ServeOptions & { identity?: Uint8Array } = {}, cookieKeys?: CookieKeySet): Promise<NtpServing> {
  const { clock } = options;
  host = withUserStamps(host);
  const read = typeof clock === "object" ? () => carry(clock.reading(), host.clock.now()) : clock;
  const state = new ServerCore(checkedState(options, host), read ?? (() => host.clock.now()), extrasOf(options, host));
  if (cookieKeys) state.holdCookieKeys(cookieKeys);
  const server = new RunningServer(host, state, options.clock !== undefined);
  await server.bind(options.listen ?? DEFAULT_LISTEN, options.port ?? 123, options.listen === undefined);
  return server;
}

/** What the server does beyond telling the time. `identity`: where it is not a server of its own. @throws {NtpError} `INVALID_ARGUMENT` */
export function extrasOf(options: ServeOptions & { identity?: Uint8Array }, host: Host): ServerExtras {
  const report = typeof options.control === "object" ? options.control.report : undefined;
  return { features: checkedFeatures(options), smear: checkedSmear(options.smear), report, random: host.random, identity: options.identity };
}

/** A stamp that a process takes is as good as the process is quick. */
function withUserStamps(host: Host): Host {
  const { clock } = host;
  const precision = Math.max(clock.precision, USER_STAMP_PRECISION);
  return { ...host, clock: { now: () => clock.now(), monotonic: () => clock.monotonic(), precision, description: clock.description } };
}

class RunningServer implements NtpServing {
  readonly #sockets: UdpSocket[] = [];
  readonly #counts = { received: 0, answered: 0, dropped: 0, failed: 0 };

  readonly #host: Host;
  readonly #state: ServerCore;
  readonly #ownClock: boolean;
  #closing: Promise<void> | undefined;

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

  async clients(): Promise<ClientState[]> {
    return this.#state.clients();
  }

  async holdCookieKeys(keys: CookieKeySet): Promise<void> {
    this.#state.holdCookieKeys(keys);
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
        this.#closeSockets();
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

  close(): Promise<void> {
    this.#closing ??= drain(() => this.#counts).then(() => this.#closeSockets());
    return this.#closing;
  }

  #closeSockets(): void {
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
export function checkedState(options: Omit<ServeOptions, "refid"> & ServerUpdate, host: Host): ServerState {
  const { stratum, leap = 0, rootDelay = 0, rootDispersion = 0.01, kiss, refid } = options;
  const wrong = (what: string, got: unknown) => new NtpError("INVALID_ARGUMENT", `expected ${what}, got ${String(got)}`);
  if (stratum !== undefined && !(Number.isInteger(stratum) && stratum >= 1 && stratum <= 15)) throw wrong("a stratum of 1..15", stratum);
  if (![0, 1, 2].includes(leap)) throw wrong("a leap indicator of 0, 1 or 2", leap);
  if (!(rootDelay >= 0 && rootDelay < 16)) throw wrong("a rootDelay of 0..16 s", rootDelay);
  if (!(rootDispersion >= 0 && rootDispersion < 16)) throw wrong("a rootDispersion of 0..16 s", rootDispersion);
  if (kiss !== undefined && !/^[\x21-\x7e]{1,4}$/.test(kiss)) throw wrong("a kiss code of one to four ASCII characters", kiss);
  if (options.listen?.length === 0) throw wrong("at least one address to listen on", "none");
  if (options.workers !== undefined && !(Number.isInteger(options.workers) && options.workers >= 0 && options.workers <= 64)) throw wrong("0..64 workers", options.workers);
  if (options.dscp !== undefined && !(Number.isInteger(options.dscp) && options.dscp >= 0 && options.dscp <= 63)) throw wrong("a dscp of 0..63", options.dscp);
  for (const one of options.broadcast ?? []) checkBroadcast(one);
  const { dispersionRate, maxDistance, leapAtNs, taiOffset, ut1Offset, referenceIds } = options;
  if (taiOffset !== undefined && !(Number.isInteger(taiOffset) && taiOffset >= 1 && taiOffset <= 3600)) throw wrong("a taiOffset of 1..3600 s", taiOffset);
  if (ut1Offset !== undefined && !(Math.abs(ut1Offset) <= 1)) throw wrong("a ut1Offset of -1..1 s", ut1Offset);
  if (referenceIds !== undefined && referenceIds.length !== 512) throw wrong("referenceIds of 512 octets", referenceIds.length);
  if (dispersionRate !== undefined && !(dispersionRate >= 0 && dispersionRate <= 1e-3)) throw wrong("a dispersionRate of 0..0.001 s/s", dispersionRate);
  if (maxDistance !== undefined && !(maxDistance > 0 && maxDistance <= 32)) throw wrong("a maxDistance of 0..32 s", maxDistance);
  const port = options.port ?? 123;
  if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) throw wrong("a port of 0..65535", port);
  return { stratum, leap, rootDelay, rootDispersion, kiss, refid, precision: host.clock.precision, referenceNs: options.referenceNs, leapAtNs, dispersionRate, maxDistance, taiOffset, ut1Offset, referenceIds };
}
