// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The service thread: observation socket and server, away from the thread that samples and steers, so that no client can
 * delay a time stamp. In go how the clock is to be served, and snapshots while observers ask; out goes that they ask, at most
 * once a second, and its own state. However many ask, the sampling thread takes one snapshot a second and not more.
 *
 * This file is both ends: the thread is started on this very module, which therefore MUST only be imported dynamically, so
 * that the bundler leaves it a file of its own. Tested in daemon.test.ts.
 *
 * @module
 */

import { isMainThread, parentPort, Worker, workerData, type MessagePort } from "node:worker_threads";
import { lendHost } from "#host";
import type { Endpoint, StampingCards } from "../hosts/common/host.ts";
import type { ControlReport } from "../hosts/common/server/control.ts";
import { serve, type Server, type ServerEvent, type ServerUpdate } from "../hosts/common/server/serve.ts";
import type { DaemonConfig } from "./config.ts";
import type { Log } from "./log.ts";
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

type ToThread = { readonly snapshot: Snapshot } | { readonly served: ServedState } | { readonly reading: ClockReading } | { readonly stop: true };
type FromThread = { readonly ready: readonly Endpoint[] } | { readonly failed: string } | { readonly warning: string } | { readonly wanted: true } | { readonly stopped: true };

/** Marks our own threads among others that may load this module. */
const ROLE = "escapement service";

// --- the daemon's end ---

export interface Service {
  /** Where the server listens. */
  readonly addresses: readonly Endpoint[];
  /** Somebody has asked of late, and may again: a snapshot is wanted each second. */
  readonly wanted: boolean;
  /** Somebody asks, and has nothing fresh to be told: one is wanted at once. */
  onWanted(act: () => void): void;
  publish(snapshot: Snapshot): void;
  publishServed(served: ServedState): void;
  publishClock(reading: ClockReading): void;
  /** Ends the thread; at the latest after `GRACE_MS`. */
  close(): Promise<void>;
}

/** Longer than its server takes to answer what it had accepted (hosts/common/server/crew.ts): a second. */
const GRACE_MS = 2000;
const RESTART_MS = 1000;
/** Who has asked once is likely to ask again for so long. */
const INTEREST_MS = 5000;
/** How often the file of leap seconds is looked at. */
const LEAPS_MS = 60_000;

/** Start the thread. Rejects when socket or port cannot be had. A thread that dies later is started again. */
export async function startService(options: ServiceOptions, log: Log): Promise<Service> {
  let latest: ClockReading | undefined;
  let closing = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let wantedAt = -Infinity;
  let act = () => {};
  const heed: Heed = {
    warn: (message) => log("warning", message),
    wanted() {
      const idle = performance.now() - wantedAt >= INTEREST_MS;
      wantedAt = performance.now();
      // Else there is one each second anyway.
      if (idle) act();
    },
  };
  let current = await launch(options, heed);
  const guard = () => {
    current.worker.on("error", (error) => log("error", `the service thread failed: ${String(error)}`));
    current.worker.on("exit", () => {
      if (!closing) retry = setTimeout(restart, RESTART_MS);
    });
  };
  const restart = () => {
    launch(options, heed).then(
      (launched) => {
        current = launched;
        guard();
        if (latest) current.worker.postMessage({ reading: latest } satisfies ToThread);
        log("warning", "the service thread was started again");
        if (closing) void current.worker.terminate();
      },
      (error: Error) => {
        log("error", `the service thread could not be started again: ${error.message}`);
        if (!closing) retry = setTimeout(restart, RESTART_MS * 10);
      },
    );
  };
  guard();
  return {
    addresses: current.addresses,
    get wanted() {
      return performance.now() - wantedAt < INTEREST_MS;
    },
    onWanted: (what) => void (act = what),
    publishServed: (served) => current.worker.postMessage({ served } satisfies ToThread),
    publish: (snapshot) => current.worker.postMessage({ snapshot } satisfies ToThread),
    publishClock(reading) {
      latest = reading;
      current.worker.postMessage({ reading } satisfies ToThread);
    },
    async close() {
      closing = true;
      clearTimeout(retry);
      await stop(current.worker);
    },
  };
}

interface Launched {
  readonly worker: Worker;
  readonly addresses: readonly Endpoint[];
}

/** What is done with what the thread says of itself. */
interface Heed {
  readonly warn: (message: string) => void;
  readonly wanted: () => void;
}

function launch(options: ServiceOptions, heed: Heed): Promise<Launched> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role: ROLE, options } });
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      void worker.terminate();
      reject(error);
    };
    worker.once("error", fail);
    let known = false;
    worker.on("message", (message: FromThread) => {
      if ("warning" in message) return heed.warn(message.warning);
      if ("wanted" in message) return heed.wanted();
      if (known) return;
      known = true;
      worker.off("error", fail);
      if ("ready" in message) resolve({ worker, addresses: message.ready });
      else fail(new Error("failed" in message ? message.failed : "the service thread stopped at once"));
    });
  });
}

async function stop(worker: Worker): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    worker.once("exit", () => resolve());
    worker.on("message", (message: FromThread) => "stopped" in message && resolve());
    setTimeout(resolve, GRACE_MS).unref?.();
  });
  worker.postMessage({ stop: true } satisfies ToThread);
  await stopped;
  await worker.terminate();
}

// --- the thread's end ---

const TOPICS = ["tracking", "sources", "sourcestats", "serverstats", "clients"] as const;
/** Those who asked last; an answer of more would be megabytes. */
const CLIENTS_TOLD = 1000;

if (!isMainThread && parentPort && (workerData as { role?: unknown } | null)?.role === ROLE) {
  void runThread(parentPort, (workerData as { options: ServiceOptions }).options);
}

async function runThread(port: MessagePort, { observe, server: serving, virtual, cards }: ServiceOptions): Promise<void> {
  const tell = (message: FromThread) => port.postMessage(message);
  const warn = (warning: string) => tell({ warning });
  const newest = new Newest(() => tell({ wanted: true }));
  let served: ServedState | undefined;
  let reading: ClockReading | undefined;
  let observation: Observation | undefined;
  let server: Server | undefined;
  let signing: Signing | undefined;
  let servedAt = 0;
  let leaps: LeapFile | undefined;
  port.on("message", (message: ToThread) => {
    if ("snapshot" in message) {
      newest.take(message.snapshot);
    } else if ("served" in message) {
      served = message.served;
      servedAt = performance.now();
      server?.update(serverUpdate(served, serving, leaps));
    } else if ("reading" in message) {
      reading = message.reading;
    } else {
      void Promise.all([observation?.close(), server?.close(), signing?.close()]).then(() => tell({ stopped: true }));
    }
  });
  try {
    if (observe.enabled) {
      const answer = (topic: string) => {
        const own = serverReport(topic, server, signing);
        return own === undefined ? newest.fresh().then((snapshot) => snapshot?.[topic as keyof Snapshot] ?? null) : own;
      };
      observation = await startObservation({ socket: observe.socket, topics: TOPICS, answer });
    }
    if (serving) {
      leaps = await leapSeconds(serving, warn);
      if (leaps) setInterval(() => void leaps?.look(), LEAPS_MS).unref();
      // Not synchronised until a snapshot says otherwise.
      const report = () => {
        const snapshot = newest.latest();
        return snapshot ? controlReport(snapshot, BigInt(Date.now()) * 1_000_000n) : {};
      };
      // ntpq is answered at once, or not at all.
      if (serving.control) setInterval(() => newest.want(), ASK_EVERY_MS).unref();
      server = await startServer(serving, { reading: virtual ? () => reading : undefined, warn, report, cards });
    }
    if (serving?.roughtime) {
      const latest = () => served && { told: served, age: (performance.now() - servedAt) / 1000 };
      const host = await lendHost();
      signing = await startSigning(serving.roughtime, serving.listen, { host: virtual ? virtualHost(host, () => reading) : host, latest, warn });
    }
    tell({ ready: [...(server?.addresses ?? []), ...new Map((signing?.addresses ?? []).map((one) => [`${one.address} ${one.port}`, one])).values()] });
  } catch (error) {
    await Promise.all([observation?.close(), server?.close()]);
    tell({ failed: (error as Error).message });
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
