// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A relay: WebSockets in, datagrams and streams to named targets out, and the time itself. docs/relay.md tells what it refuses
 * and why it need not be trusted. Tested in server.test.ts and tests/interop/relay.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import { AddressBuckets, addressGroup } from "../nts/limiter.ts";
import type { HttpAnswer, HttpRequest, WebSocketListener } from "../websocket.ts";
import { listenForMetrics, metricsText, type MetricsListener, type MetricsPlace } from "../server/metrics.ts";
import { checkedLimits, newStats, RELAY_METRICS, type RelayLimits, type RelayStats } from "./limits.ts";
import { LONGEST_FRAME, SUBPROTOCOL } from "./protocol.ts";
import { RelaySession, type SessionContext } from "./session.ts";
import { Targets } from "./targets.ts";
import { ToldTime, type TimeOptions } from "./time.ts";
import { answerHttp, answerTooMany, corsHeaders, isAdmitted, LAST_LEAP, type LeapEvent } from "./web.ts";

export interface RelayServerOptions {
  /** Where to listen. Default all addresses, port 8123. */
  readonly listen?: Partial<Endpoint>;
  /** Targets: `HOST:PORT`, with `udp:` or `tcp:` before it for one of them only. May be empty: then only the time is told. */
  readonly allow: readonly string[];
  /** Origins of pages that may use it, like "https://example.org". Default any. */
  readonly origins?: readonly string[];
  /** How this host's clock is vouched for. Default not at all: then it tells no time of its own. */
  readonly time?: TimeOptions;
  /** Who it says it is, in the JSON. Default "escapement". */
  readonly id?: string;
  /** The leap second that the JSON tells. Default the last there was. */
  readonly leap?: LeapEvent;
  readonly limits?: Partial<RelayLimits>;
  /** Tell the counters by HTTP at /metrics of another port, on loopback unless an address is given. Default not at all. */
  readonly metrics?: MetricsPlace;
}

export interface Relay extends AsyncDisposable {
  readonly local: Endpoint;
  /** Where metrics are told, if they are. */
  readonly metrics: Endpoint | undefined;
  /** A copy. */
  readonly stats: RelayStats;
  /** Ends all connections. Idempotent. */
  close(): Promise<void>;
}

const DEFAULT_PORT = 8123;
/** Addresses whose requests are counted. */
const ENTRIES = 65_536;
const GOING_AWAY = 1001;

/**
 * Run a relay.
 *
 * @throws {NtpError} `SOCKET` when the port cannot be bound, `UNSUPPORTED` where there is no WebSocket server, `INVALID_ARGUMENT`
 */
export async function startRelay(host: Host, options: RelayServerOptions): Promise<Relay> {
  if (!host.listenWebSocket) throw new NtpError("UNSUPPORTED", `${host.runtime} cannot serve WebSockets`);
  const server = new RelayServer(host, options);
  return server.start();
}

class RelayServer implements Relay {
  readonly #host: Host;
  readonly #options: RelayServerOptions;
  readonly #limits: RelayLimits;
  readonly #stats = newStats();
  readonly #buckets: AddressBuckets;
  readonly #context: SessionContext;
  readonly #time: ToldTime;
  readonly #sessions = new Set<RelaySession>();
  readonly #perAddress = new Map<string, number>();
  #listener!: WebSocketListener;
  #metrics: MetricsListener | undefined;

  constructor(host: Host, options: RelayServerOptions) {
    this.#host = host;
    this.#options = options;
    checkedOrigins(options.origins);
    this.#limits = checkedLimits(options.limits);
    const { rate, burst } = this.#limits;
    this.#buckets = new AddressBuckets({ rate, burst, entries: ENTRIES }, () => performance.now());
    this.#time = new ToldTime(host.clock, options.time);
    this.#context = {
      host,
      targets: new Targets(host, options.allow),
      limits: this.#limits,
      stats: this.#stats,
      time: this.#time,
      id: this.#id,
      leap: options.leap ?? LAST_LEAP,
      take: (address) => this.#buckets.take(address),
      ended: (session) => this.#ended(session),
    };
  }

  async start(): Promise<this> {
    const { metrics } = this.#options;
    if (metrics) this.#metrics = await listenForMetrics(this.#host, metrics, (startNs) => metricsText({ ...this.#stats }, startNs, RELAY_METRICS));
    try {
      return await this.#listen();
    } catch (error) {
      await this.#metrics?.close();
      throw error;
    }
  }

  async #listen(): Promise<this> {
    const { address = "::", port = DEFAULT_PORT } = this.#options.listen ?? {};
    this.#listener = await this.#host.listenWebSocket!({
      endpoint: { address, port },
      maxMessage: LONGEST_FRAME,
      maxConnections: this.#limits.connections,
      subprotocol: SUBPROTOCOL,
      http: (request) => this.#http(request),
      refuse: (request) => this.#refuse(request),
      accepted: (peer, { address: from, subprotocols }) => {
        const session = new RelaySession(this.#context, peer, { address: from, speaksFrames: subprotocols.includes(SUBPROTOCOL) });
        this.#sessions.add(session);
        this.#count(session.address, 1);
        this.#stats.connections += 1;
        this.#stats.openConnections += 1;
        return session;
      },
    });
    return this;
  }

  get local(): Endpoint {
    return this.#listener.local;
  }

  get metrics(): Endpoint | undefined {
    return this.#metrics?.local;
  }

  get stats(): RelayStats {
    return { ...this.#stats };
  }

  get #id(): string {
    return this.#options.id ?? "escapement";
  }

  async close(): Promise<void> {
    for (const session of [...this.#sessions]) session.close(GOING_AWAY, "the relay stops");
    await Promise.all([this.#listener.close(), this.#metrics?.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #http(request: HttpRequest): HttpAnswer {
    const { origins } = this.#options;
    if (!this.#buckets.take(request.address)) {
      this.#stats.limited += 1;
      return answerTooMany(origins, request.origin);
    }
    const answer = answerHttp(request, { id: this.#id, origins, leap: this.#context.leap, time: () => this.#time.told() });
    if (answer.status === 200) this.#stats.times += 1;
    return answer;
  }

  #refuse({ address, origin }: HttpRequest): HttpAnswer | undefined {
    const { connections, connectionsPerAddress } = this.#limits;
    const { origins } = this.#options;
    const crowded = this.#sessions.size >= connections || (this.#perAddress.get(addressGroup(address)) ?? 0) >= connectionsPerAddress;
    const admitted = isAdmitted(origins, origin);
    if (admitted && !crowded && this.#buckets.take(address)) return undefined;
    this.#stats.refusedConnections += 1;
    if (admitted) return answerTooMany(origins, origin);
    return { status: 403, headers: corsHeaders(origins, origin), body: "this origin is not admitted\n" };
  }

  #ended(session: RelaySession): void {
    if (!this.#sessions.delete(session)) return;
    this.#count(session.address, -1);
    this.#stats.openConnections -= 1;
  }

  #count(address: string, by: number): void {
    const group = addressGroup(address);
    const count = (this.#perAddress.get(group) ?? 0) + by;
    if (count > 0) this.#perAddress.set(group, count);
    else this.#perAddress.delete(group);
  }
}

function checkedOrigins(origins: readonly string[] = []): void {
  for (const origin of origins) {
    if (URL.canParse(origin) && new URL(origin).origin === origin) continue;
    throw new NtpError("INVALID_ARGUMENT", `expected an origin like "https://example.org", without a path, got "${origin}"`);
  }
}
