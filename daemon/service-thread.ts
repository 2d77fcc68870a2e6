// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The service thread's own end: observation socket, page and servers, away from the thread that samples and steers, so that no client
 * can delay a time stamp. In go how the clock is to be served, and snapshots while observers ask; out goes that they ask, at
 * most once a second, and its own state.
 *
 * Started by service.ts. Tested in daemon.test.ts.
 *
 * @module
 */

import type { MessagePort } from "node:worker_threads";
import { lendHost } from "#host";
import type { Endpoint, HttpListener, StampingCards } from "../hosts/common/host.ts";
import type { ControlReport } from "../hosts/common/server/control.ts";
import { serve, type Server, type ServerEvent, type ServerUpdate } from "../hosts/common/server/serve.ts";
import type { DaemonConfig } from "./config.ts";
import { startDashboard } from "./dashboard.ts";
import type { LeapFile } from "./leaps.ts";
import { controlReport } from "./ntpq.ts";
import { ASK_EVERY_MS, Newest } from "./newest.ts";
import { startObservation, type Observation } from "./observe.ts";
import type { ServedState, Snapshot } from "./report.ts";
import { virtualHost, type ClockReading } from "./served.ts";
import { startSigning, type Signing } from "./signing.ts";
import { leapSeconds, serveOptions, type ServerSection } from "./serving.ts";

/** What the thread is to do. */
export interface ServiceOptions extends Pick<DaemonConfig, "observe" | "server"> {
  /** The clock that is served is told by readings, and is not the host's. */
  readonly virtual: boolean;
  /** Network cards that stamp for the server, as for the clock. */
  readonly cards?: StampingCards;
}

export type ToThread = { readonly snapshot: Snapshot } | { readonly served: ServedState } | { readonly reading: ClockReading } | { readonly stop: true };
/** Where it listens: the server, and the page. */
export interface Ready {
  readonly ready: readonly Endpoint[];
  readonly page: Endpoint | undefined;
}

/** Whether others may ask soon; else one snapshot is enough. */
export type Wanted = "once" | "again";
export type FromThread = Ready | { readonly failed: string } | { readonly warning: string } | { readonly wanted: Wanted } | { readonly stopped: true };

const TOPICS = ["tracking", "sources", "sourcestats", "serverstats", "clients"] as const;
/** Those who asked last; an answer of more would be megabytes. */
const CLIENTS_TOLD = 1000;
/** How often the file of leap seconds is looked at. */
const LEAPS_MS = 60_000;

export async function runThread(port: MessagePort, options: ServiceOptions): Promise<void> {
  const tell = (message: FromThread) => port.postMessage(message);
  const thread = new ServiceThread(options, tell);
  port.on("message", (message: ToThread) => thread.hear(message));
  try {
    tell(await thread.open());
  } catch (error) {
    await thread.close();
    tell({ failed: (error as Error).message });
  }
}

class ServiceThread {
  readonly #options: ServiceOptions;
  readonly #tell: (message: FromThread) => void;
  readonly #newest: Newest;
  #served: { readonly told: ServedState; readonly at: number } | undefined;
  #reading: ClockReading | undefined;
  #observation: Observation | undefined;
  #server: Server | undefined;
  #signing: Signing | undefined;
  #page: HttpListener | undefined;
  #leaps: LeapFile | undefined;

  constructor(options: ServiceOptions, tell: (message: FromThread) => void) {
    this.#options = options;
    this.#tell = tell;
    this.#newest = new Newest((once) => tell({ wanted: once ? "once" : "again" }));
  }

  hear(message: ToThread): void {
    if ("snapshot" in message) {
      this.#newest.take(message.snapshot);
    } else if ("served" in message) {
      this.#served = { told: message.served, at: performance.now() };
      this.#server?.update(serverUpdate(message.served, this.#options.server, this.#leaps));
    } else if ("reading" in message) {
      this.#reading = message.reading;
    } else {
      void this.close().then(() => this.#tell({ stopped: true }));
    }
  }

  /** Open what is configured. */
  async open(): Promise<Ready> {
    const { observe, server: section } = this.#options;
    if (observe.enabled) this.#observation = await startObservation({ socket: observe.socket, topics: TOPICS, answer: (topic) => this.#answer(topic) });
    if (section) await this.#serve(section);
    if (section?.roughtime) await this.#sign(section, section.roughtime);
    if (observe.dashboard) await this.#show(observe.dashboard);
    // Roughtime has one address for UDP and TCP.
    const signing = new Map((this.#signing?.addresses ?? []).map((one) => [`${one.address} ${one.port}`, one]));
    return { ready: [...(this.#server?.addresses ?? []), ...signing.values()], page: this.#page?.local };
  }

  async close(): Promise<void> {
    await Promise.all([this.#observation?.close(), this.#page?.close(), this.#server?.close(), this.#signing?.close()]);
  }

  /** What observers are told: of the server what is known here, of the clock what the daemon tells. */
  #answer(topic: string): unknown {
    const own = serverReport(topic, this.#server, this.#signing);
    return own === undefined ? this.#newest.fresh().then((snapshot) => snapshot?.[topic as keyof Snapshot] ?? null) : own;
  }

  async #serve(section: ServerSection): Promise<void> {
    const warn = (warning: string) => this.#tell({ warning });
    this.#leaps = await leapSeconds(section, warn);
    if (this.#leaps) setInterval(() => void this.#leaps?.look(), LEAPS_MS).unref();
    // ntpq is answered at once, or not at all.
    if (section.control) setInterval(() => this.#newest.want(), ASK_EVERY_MS).unref();
    const { virtual, cards } = this.#options;
    // Not synchronised until a snapshot says otherwise.
    this.#server = await startServer(section, { reading: virtual ? () => this.#reading : undefined, warn, report: () => this.#controlReport(), cards });
  }

  #controlReport(): ControlReport {
    const snapshot = this.#newest.latest();
    return snapshot ? controlReport(snapshot, BigInt(Date.now()) * 1_000_000n) : {};
  }

  async #show(dashboard: NonNullable<DaemonConfig["observe"]["dashboard"]>): Promise<void> {
    // A clock that could not be steered is told by readings, whatever was asked for; the system's own has none.
    const host = virtualHost(await lendHost(), () => this.#reading);
    this.#page = await startDashboard(dashboard, { host, newest: this.#newest, now: () => host.clock.now(), report: (topic) => serverReport(topic, this.#server, this.#signing) });
  }

  async #sign({ listen }: ServerSection, roughtime: NonNullable<ServerSection["roughtime"]>): Promise<void> {
    const own = await lendHost();
    this.#signing = await startSigning(roughtime, listen, {
      host: this.#options.virtual ? virtualHost(own, () => this.#reading) : own,
      latest: () => this.#served && { told: this.#served.told, age: (performance.now() - this.#served.at) / 1000 },
      warn: (warning) => this.#tell({ warning }),
    });
  }
}

interface ServerMeans {
  /** Of a clock that is not the host's. */
  readonly reading: (() => ClockReading | undefined) | undefined;
  readonly warn: (message: string) => void;
  /** For ntpq. */
  readonly report: () => ControlReport;
  readonly cards: StampingCards | undefined;
}

async function startServer(section: ServerSection, { reading, warn, report, cards }: ServerMeans): Promise<Server> {
  const host = await lendHost();
  const stamping = cards !== undefined && { hardwareTimestamps: cards, onSoftwareTimestamps: (reason: string) => warn(`server: the kernel stamps, not the network card: ${reason}`) };
  const options = { ...(await serveOptions(section, warn)), ...stamping, ...(section.control && { control: { report } }), onEvent: (event: ServerEvent) => warn(event.kind === "thread-restarted" ? "a server thread was started again" : `server: ${event.kind}: ${event.message}`) };
  if (!reading) return serve(host, options);
  // Threads are told of the clock; a server in this one reads it.
  if (host.serveThreads === undefined || section.workers === 0) return serve(virtualHost(host, reading), options);
  const own = (): ClockReading => ({ wallNs: host.clock.now(), timeNs: host.clock.now(), rate: 0 });
  return serve(host, { ...options, clock: { reading: () => reading() ?? own() } });
}

/** What is told of the server; undefined for other topics. */
function serverReport(topic: string, server: Server | undefined, signing: Signing | undefined): unknown {
  if (topic === "serverstats") return server ? { stats: server.stats, counters: server.counters, ...(signing ? { roughtime: signing.server.stats } : {}) } : null;
  if (topic !== "clients") return undefined;
  return server ? server.clients().then((clients) => clients.sort((a, b) => a.last - b.last).slice(0, CLIENTS_TOLD)) : null;
}

function serverUpdate({ stratum, ...rest }: ServedState, { "ut1-offset": ut1Offset }: ServerSection = {}, leaps?: LeapFile): ServerUpdate {
  const coming = leaps?.known(BigInt(Date.now()) * 1_000_000n);
  return { ...rest, ...(ut1Offset === undefined ? {} : { ut1Offset }), ...(stratum === undefined ? {} : { stratum }), ...coming };
}
