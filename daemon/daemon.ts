// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon: host, clock, engine, drift file, status and service composed, from start to stop.
 *
 *   main thread      sockets of the sources ─▶ engine ─▶ clock            samples and steers, and hardly anything else
 *   service thread   observation socket, page, server  ◀─ what is served each second; a snapshot while somebody asks for it
 *
 * Tested in daemon.test.ts against a real chronyd.
 *
 * @module
 */

import { lendHost } from "#host";
import { formatEndpoint } from "../hosts/common/address.ts";
import { byCards, type CardOptions } from "../hosts/common/client/cards.ts";
import { Engine, type EngineEvent } from "../hosts/common/client/engine.ts";
import { frequencyFound } from "../hosts/common/clock/steered.ts";
import { StatusTeller } from "../hosts/common/clock/status.ts";
import type { Endpoint, Host } from "../hosts/common/host.ts";
import type { DaemonConfig } from "./config.ts";
import { DriftKeeper } from "./driftkeeper.ts";
import { UpdateHistory } from "./history.ts";
import { openLog, type Log } from "./log.ts";
import { SourceModes, takeServed, takeSnapshot } from "./report.ts";
import { withSecrets } from "./secrets.ts";
import type { Service } from "./service.ts";
import { openClock, type OpenedClock } from "./systemclock.ts";

const TICK_MS = 1000;

/** Run until `signal` fires. Rejects when it cannot start. */
export async function runDaemon(config: DaemonConfig, signal: AbortSignal, log: Log = openLog(config.log.level)): Promise<void> {
  const host = await lendHost();
  const opened = await openClock(host, config.clock.mode);
  try {
    const daemon = await Daemon.start(config, { host, opened, log });
    try {
      await Promise.race([fired(signal), daemon.failure]);
    } finally {
      await daemon.stop();
    }
  } finally {
    opened.close();
  }
  log("info", "stopped");
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })));
}

interface Means {
  readonly host: Host;
  readonly opened: OpenedClock;
  readonly log: Log;
}

interface Parts {
  readonly engine: Engine;
  readonly drift: DriftKeeper | undefined;
  readonly service: Service | undefined;
  readonly modes: SourceModes;
  readonly serving: boolean;
}

class Daemon {
  readonly #host: Host;
  readonly #opened: OpenedClock;
  readonly #log: Log;
  readonly #engine: Engine;
  readonly #drift: DriftKeeper | undefined;
  readonly #service: Service | undefined;
  readonly #status: StatusTeller;
  readonly #history = new UpdateHistory();
  readonly #modes: SourceModes;
  /** Somebody is served this clock. */
  readonly #serving: boolean;
  /** Rejects when the engine cannot start: the port for peers cannot be had. */
  readonly failure: Promise<never>;
  #fail: (error: Error) => void = () => {};
  #ticker: ReturnType<typeof setInterval> | undefined;

  static async start(config: DaemonConfig, means: Means): Promise<Daemon> {
    const { driftFile } = config.clock;
    // The file is about the clock that was asked for; of another's frequency it knows nothing, and MUST NOT learn.
    const drift = driftFile === undefined || means.opened.refusal !== undefined ? undefined : new DriftKeeper(driftFile, means.log);
    // What was in force before is the best guess where nothing better is remembered.
    const known = (await drift?.read()) ?? { frequency: frequencyFound(means.opened.clock.actuator), skew: 0 };
    // Before the clock is touched: who finds another daemon running leaves everything alone.
    const service = config.observe.enabled || config.observe.dashboard || config.server ? await startService(config, means.log) : undefined;
    try {
      const servers = await withSecrets(config.sources, (message) => means.log("warning", message));
      const sources = [...servers, ...config.refclocks.map((source) => ({ source }))];
      const host = byCards(means.host, cardOptions(config, means.log));
      const engine = new Engine(host, means.opened.clock, { ...engineOptions(config), sources, ...known });
      const daemon = new Daemon(means, { engine, drift, service, modes: new SourceModes(config.sources), serving: config.server !== undefined });
      daemon.#begin(config);
      return daemon;
    } catch (error) {
      await service?.close();
      throw error;
    }
  }

  private constructor({ host, opened, log }: Means, { engine, drift, service, modes, serving }: Parts) {
    this.#host = host;
    this.#opened = opened;
    this.#log = log;
    this.#engine = engine;
    this.#drift = drift;
    this.#service = service;
    this.#status = new StatusTeller(opened.clock.actuator);
    this.#modes = modes;
    this.#serving = serving;
    this.failure = new Promise((_, reject) => (this.#fail = reject));
    // Whoever awaits it comes later.
    this.failure.catch(() => {});
  }

  #begin(config: DaemonConfig): void {
    const { mode, clock, refusal } = this.#opened;
    if (refusal !== undefined) this.#log("warning", `the system clock cannot be steered: ${refusal}. It is only observed`);
    this.#log("info", `following ${[...config.sources.map(({ source }) => source), ...config.refclocks].join(", ")}; mode ${mode}, clock ${clock.actuator.description}, readings ${this.#host.clock.description}`);
    for (const address of this.#service?.addresses ?? []) this.#log("info", `serving on ${formatEndpoint(address)}`);
    if (this.#service?.page) this.#tellPage(this.#service.page);
    this.#engine.listen((event) => this.#hear(event));
    this.#service?.onWanted(() => this.#publishSnapshot());
    this.#tick();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#engine.start().catch((error: Error) => this.#fail(error));
  }

  #tellPage(page: Endpoint): void {
    this.#log("info", `the page is at http://${formatEndpoint(page)}/`);
    if (!/^(127\.|::1$)/.test(page.address)) this.#log("warning", `whoever reaches ${page.address} can read the page: nobody is asked for a password`);
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    const last = this.#engine.tracking();
    this.#engine.close();
    await Promise.all([this.#drift?.keep(last), this.#service?.close()]);
  }

  #tick(): void {
    const tracking = this.#engine.tracking();
    this.#status.tick({ ...tracking, rmsOffset: this.#history.rmsOffset }, this.#opened.clock.now());
    this.#drift?.tick(tracking);
    this.#publishClock();
    this.#publishServed();
    if (this.#service?.wanted) this.#publishSnapshot();
  }

  /** How a clock of our own runs: the other thread serves or shows it, and MUST know of each turn at once. */
  #publishClock(): void {
    const { mode, clock } = this.#opened;
    if (!this.#service || mode === "system" || !(this.#serving || this.#service.page)) return;
    const wallNs = this.#host.clock.now();
    this.#service.publishClock({ wallNs, timeNs: clock.carry(wallNs).time, rate: clock.actuator.rate() });
  }

  /** What the server says of the clock, which grows older by the second. */
  #publishServed(): void {
    if (!this.#serving) return;
    this.#service?.publishServed(takeServed(this.#engine, this.#opened.clock.now()));
  }

  /** A snapshot of all sources costs more than all else that is done in a second: only while somebody asks. */
  #publishSnapshot(): void {
    const { mode, clock } = this.#opened;
    const wallNow = () => this.#host.clock.now();
    this.#service?.publish(takeSnapshot({ mode, engine: this.#engine, modes: this.#modes, history: this.#history, now: () => clock.now(), wallNow }));
  }

  #hear(event: EngineEvent): void {
    if (event.kind === "updated") {
      const { survivors } = this.#engine.tracking();
      if (event.offset !== undefined && survivors > 0) this.#history.note(event.offset, this.#opened.clock.monotonic());
      this.#publishClock();
      return;
    }
    if (event.kind === "stepped") this.#status.forget();
    const [level, message] = told(event, this.#engine.tracking());
    this.#log(level, message);
  }
}

/** The module of the thread, which is the thread: never imported otherwise. */
async function startService(config: DaemonConfig, log: Log): Promise<Service> {
  const { startService: start } = await import("./service.ts");
  const { observe, server, clock: { mode, cards } } = config;
  return start({ observe, virtual: mode !== "system", ...(server ? { server } : {}), ...(cards === undefined ? {} : { cards }) }, log);
}

function cardOptions({ clock: { cards } }: DaemonConfig, log: Log): CardOptions {
  return cards === undefined ? {} : { hardwareTimestamps: cards, onSoftwareTimestamps: (reason) => log("warning", `the kernel stamps, not the network card: ${reason}`) };
}

function engineOptions({ sources: servers, server, peering = {}, clock: { algorithm, makeStep, stepLimits } }: DaemonConfig) {
  // The discipline's own limits must let each source have its; who broadcasts is not polled.
  const polled = servers.filter(({ mode }) => mode !== "broadcast");
  const [minPoll, maxPoll] = polled.length === 0 ? [6, 10] : [Math.min(...polled.map((source) => source.minPoll)), Math.max(...polled.map((source) => source.maxPoll))];
  return { serving: server !== undefined, peering, algorithm, makeStep, stepLimits, minPoll, maxPoll };
}

const NEAR_LIMIT = {
  single: "the offset is beyond half of clock.step-limits.single, above which it would not be corrected: check the sources and the clock",
  startup: "the first offset was beyond half of clock.step-limits.startup, above which it would not have been corrected",
  sum: "half of clock.step-limits.sum is used up",
} as const;

type Told = Exclude<EngineEvent, { kind: "updated" }>;

function told(event: Told, { refid, stratum }: { refid: string; stratum: number }): ["info" | "warning", string] {
  switch (event.kind) {
    case "synchronised":
      return ["info", `synchronised to ${refid}, stratum ${stratum}`];
    case "unsynchronised":
      return ["warning", "no longer synchronised: the sources do not agree, or cannot be reached"];
    case "stepped":
      return ["warning", `stepped the clock by ${(Number(event.offsetNs) / 1e9).toFixed(6)} s`];
    case "clock-refused":
      return ["warning", event.error.message];
    case "leapt":
      return ["info", "a leap second was inserted or deleted, as announced"];
    case "disturbed":
      return ["warning", `the clock was ${event.how}; asking all sources anew`];
    case "step-limit":
      return ["warning", event.how === "refused" ? "refused to correct an offset beyond clock.step-limits: check the sources and the clock" : NEAR_LIMIT[event.limit]];
    case "source":
      return [event.wrong ? "warning" : "info", `${event.source}: ${event.message}`];
    case "reference":
      return event.message === undefined ? ["info", `${event.name} is heard again`] : ["warning", `${event.name}: ${event.message}`];
    case "stopped":
      return ["warning", `${event.source} refused our service (DENY or RSTR) and is not asked any more`];
  }
}
