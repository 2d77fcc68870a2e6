// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The service thread: observation socket and server, away from the thread that samples and steers, so that no client can
 * delay a time stamp. Tidings go one way: snapshots in, nothing but its own state out.
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

type ToThread = { readonly snapshot: Snapshot } | { readonly reading: ClockReading } | { readonly stop: true };
type FromThread = { readonly ready: readonly Endpoint[] } | { readonly failed: string } | { readonly warning: string } | { readonly stopped: true };

/** Marks our own threads among others that may load this module. */
const ROLE = "escapement service";

// --- the daemon's end ---

export interface Service {
  /** Where the server listens. */
  readonly addresses: readonly Endpoint[];
  publish(snapshot: Snapshot): void;
  publishClock(reading: ClockReading): void;
  /** Ends the thread; at the latest after `GRACE_MS`. */
  close(): Promise<void>;
}

const GRACE_MS = 500;
const RESTART_MS = 1000;
/** How often the file of leap seconds is looked at. */
const LEAPS_MS = 60_000;

/** Start the thread. Rejects when socket or port cannot be had. A thread that dies later is started again. */
export async function startService(options: ServiceOptions, log: Log): Promise<Service> {
  let latest: ClockReading | undefined;
  let closing = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const warn = (message: string) => log("warning", message);
  let current = await launch(options, warn);
  const guard = () => {
    current.worker.on("error", (error) => log("error", `the service thread failed: ${String(error)}`));
    current.worker.on("exit", () => {
      if (!closing) retry = setTimeout(restart, RESTART_MS);
    });
  };
  const restart = () => {
    launch(options, warn).then(
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

function launch(options: ServiceOptions, warn: (message: string) => void): Promise<Launched> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role: ROLE, options } });
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      void worker.terminate();
      reject(error);
    };
    worker.once("error", fail);
    let known = false;
    worker.on("message", (message: FromThread) => {
      if ("warning" in message) return warn(message.warning);
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
  let snapshot: Snapshot | undefined;
  let reading: ClockReading | undefined;
  let observation: Observation | undefined;
  let server: Server | undefined;
  let signing: Signing | undefined;
  let snapshotAt = 0;
  let leaps: LeapFile | undefined;
  port.on("message", (message: ToThread) => {
    if ("snapshot" in message) {
      snapshot = message.snapshot;
      snapshotAt = performance.now();
      server?.update(serverUpdate(snapshot.served, serving, leaps));
    } else if ("reading" in message) {
      reading = message.reading;
    } else {
      void Promise.all([observation?.close(), server?.close(), signing?.close()]).then(() => tell({ stopped: true }));
    }
  });
  try {
    if (observe.enabled) {
      const answer = (topic: string) => serverReport(topic, server, signing) ?? snapshot?.[topic as "tracking" | "sources" | "sourcestats"] ?? null;
      observation = await startObservation({ socket: observe.socket, topics: TOPICS, answer });
    }
    if (serving) {
      leaps = await leapSeconds(serving, warn);
      if (leaps) setInterval(() => void leaps?.look(), LEAPS_MS).unref();
      // Not synchronised until a snapshot says otherwise.
      const report = () => (snapshot ? controlReport(snapshot, BigInt(Date.now()) * 1_000_000n) : {});
      server = await startServer(serving, { reading: virtual ? () => reading : undefined, warn, report, cards });
    }
    if (serving?.roughtime) {
      const latest = () => snapshot && { told: snapshot.served, age: (performance.now() - snapshotAt) / 1000 };
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
