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
import type { Endpoint } from "../hosts/common/host.ts";
import { serve, type Server } from "../hosts/common/server/serve.ts";
import type { DaemonConfig } from "./config.ts";
import type { Log } from "./log.ts";
import { startObservation, type Observation } from "./observe.ts";
import type { ServedState, Snapshot } from "./report.ts";
import { virtualHost, type ClockReading } from "./served.ts";

/** What the thread is to do. */
export type ServiceOptions = Pick<DaemonConfig, "observe" | "server">;

type ToThread = { readonly snapshot: Snapshot } | { readonly reading: ClockReading } | { readonly stop: true };
type FromThread = { readonly ready: readonly Endpoint[] } | { readonly failed: string } | { readonly stopped: true };

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

/** Start the thread. Rejects when socket or port cannot be had. A thread that dies later is started again. */
export async function startService(options: ServiceOptions, log: Log): Promise<Service> {
  let latest: ClockReading | undefined;
  let closing = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let current = await launch(options);
  const guard = () => {
    current.worker.on("error", (error) => log("error", `the service thread failed: ${String(error)}`));
    current.worker.on("exit", () => {
      if (!closing) retry = setTimeout(restart, RESTART_MS);
    });
  };
  const restart = () => {
    launch(options).then(
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

function launch(options: ServiceOptions): Promise<Launched> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role: ROLE, options } });
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      void worker.terminate();
      reject(error);
    };
    worker.once("error", fail);
    worker.once("message", (message: FromThread) => {
      worker.off("error", fail);
      if ("ready" in message) resolve({ worker, addresses: message.ready });
      else fail(new Error("failed" in message ? message.failed : "the service thread stopped at once"));
    });
  });
}

async function stop(worker: Worker): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    worker.once("exit", () => resolve());
    worker.once("message", () => resolve());
    setTimeout(resolve, GRACE_MS).unref?.();
  });
  worker.postMessage({ stop: true } satisfies ToThread);
  await stopped;
  await worker.terminate();
}

// --- the thread's end ---

const TOPICS = ["tracking", "sources", "sourcestats"] as const;

if (!isMainThread && parentPort && (workerData as { role?: unknown } | null)?.role === ROLE) {
  void runThread(parentPort, (workerData as { options: ServiceOptions }).options);
}

async function runThread(port: MessagePort, { observe, server: serving }: ServiceOptions): Promise<void> {
  const tell = (message: FromThread) => port.postMessage(message);
  let snapshot: Snapshot | undefined;
  let reading: ClockReading | undefined;
  let observation: Observation | undefined;
  let server: Server | undefined;
  port.on("message", (message: ToThread) => {
    if ("snapshot" in message) {
      snapshot = message.snapshot;
      server?.update(serverUpdate(snapshot.served));
    } else if ("reading" in message) {
      reading = message.reading;
    } else {
      void Promise.all([observation?.close(), server?.close()]).then(() => tell({ stopped: true }));
    }
  });
  try {
    if (observe.enabled) {
      const answer = (topic: string) => snapshot?.[topic as (typeof TOPICS)[number]] ?? null;
      observation = await startObservation({ socket: observe.socket, topics: TOPICS, answer });
    }
    // Not synchronised until a snapshot says otherwise.
    if (serving) server = await serve(virtualHost(await lendHost(), () => reading), serving);
    tell({ ready: server?.addresses ?? [] });
  } catch (error) {
    await observation?.close();
    tell({ failed: (error as Error).message });
  }
}

function serverUpdate({ stratum, ...rest }: ServedState) {
  return { ...rest, ...(stratum === undefined ? {} : { stratum }) };
}
