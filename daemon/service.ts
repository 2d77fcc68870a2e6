// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon's end of the service thread (service-thread.ts): starts it, starts it again when it dies, and tells it of the
 * clock. However many ask, the sampling thread takes one snapshot a second and not more.
 *
 * The thread is started on this very module, which therefore MUST only be imported dynamically, so that the bundler leaves it
 * a file of its own. Tested in daemon.test.ts.
 *
 * @module
 */

import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { Endpoint } from "../hosts/common/host.ts";
import type { Log } from "./log.ts";
import type { ServedState, Snapshot } from "./report.ts";
import { runThread, type FromThread, type ServiceOptions, type ToThread, type Wanted } from "./service-thread.ts";
import type { ClockReading } from "./served.ts";

/** Marks our own threads among others that may load this module. */
const ROLE = "escapement service";

if (!isMainThread && parentPort && (workerData as { role?: unknown } | null)?.role === ROLE) {
  void runThread(parentPort, (workerData as { options: ServiceOptions }).options);
}

export interface Service {
  /** Where the server listens. */
  readonly addresses: readonly Endpoint[];
  /** Where its page is to be had. */
  readonly page: Endpoint | undefined;
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
/** How much longer it waits when the thread could not even be started. */
const RETRY_MS = 10 * RESTART_MS;
/** Who has asked once is likely to ask again for so long. */
const INTEREST_MS = 5000;

/** Start the thread. Rejects when socket or port cannot be had. A thread that dies later is started again. */
export async function startService(options: ServiceOptions, log: Log): Promise<Service> {
  const service = new ThreadService(options, log);
  await service.start();
  return service;
}

class ThreadService implements Service {
  readonly #options: ServiceOptions;
  readonly #log: Log;
  #addresses: readonly Endpoint[] = [];
  #page: Endpoint | undefined;
  #worker: Worker | undefined;
  #latest: ClockReading | undefined;
  #closing = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #wantedAt = -Infinity;
  #early = false;
  /** Whoever asks before the clock runs is answered when it does. */
  #act: () => void = () => (this.#early = true);

  constructor(options: ServiceOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  async start(): Promise<void> {
    const { worker, addresses, page } = await this.#launch();
    this.#addresses = addresses;
    this.#page = page;
    this.#guard(worker);
  }

  get addresses(): readonly Endpoint[] {
    return this.#addresses;
  }

  get page(): Endpoint | undefined {
    return this.#page;
  }

  get wanted(): boolean {
    return performance.now() - this.#wantedAt < INTEREST_MS;
  }

  onWanted(act: () => void): void {
    this.#act = act;
    if (this.#early) act();
  }

  publish(snapshot: Snapshot): void {
    this.#tell({ snapshot });
  }

  publishServed(served: ServedState): void {
    this.#tell({ served });
  }

  publishClock(reading: ClockReading): void {
    this.#latest = reading;
    this.#tell({ reading });
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#retry);
    if (this.#worker) await stop(this.#worker);
  }

  #tell(message: ToThread): void {
    this.#worker?.postMessage(message);
  }

  #launch(): Promise<Launched> {
    return launch(this.#options, { warn: (message) => this.#log("warning", message), wanted: (often) => this.#heedWish(often) });
  }

  #heedWish(often: Wanted): void {
    const idle = !this.wanted;
    if (often === "again") this.#wantedAt = performance.now();
    // Else there is one each second anyway.
    if (idle) this.#act();
  }

  /** Start it again when it is gone. */
  #guard(worker: Worker): void {
    this.#worker = worker;
    worker.on("error", (error) => this.#log("error", `the service thread failed: ${String(error)}`));
    worker.on("exit", () => this.#restartIn(RESTART_MS));
  }

  #restartIn(milliseconds: number): void {
    if (!this.#closing) this.#retry = setTimeout(() => void this.#restart(), milliseconds);
  }

  async #restart(): Promise<void> {
    try {
      const { worker } = await this.#launch();
      this.#guard(worker);
      if (this.#latest) this.#tell({ reading: this.#latest });
      this.#log("warning", "the service thread was started again");
      if (this.#closing) void worker.terminate();
    } catch (error) {
      this.#log("error", `the service thread could not be started again: ${(error as Error).message}`);
      this.#restartIn(RETRY_MS);
    }
  }
}

interface Launched extends Pick<Service, "addresses" | "page"> {
  readonly worker: Worker;
}

/** What is done with what the thread says of itself. */
interface Heed {
  readonly warn: (message: string) => void;
  readonly wanted: (often: Wanted) => void;
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
      if ("wanted" in message) return heed.wanted(message.wanted);
      if (known) return;
      known = true;
      worker.off("error", fail);
      if ("ready" in message) resolve({ worker, addresses: message.ready, page: message.page });
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
