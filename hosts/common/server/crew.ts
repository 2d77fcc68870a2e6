// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server in threads of its own, seen from the thread that started it: opens the sockets, starts the threads, tells them of
 * the clock, adds their counters up, starts a thread again that died, and stops them all.
 *
 * It never answers a request itself. Tested in crew.test.ts with threads that fail, live in tests/server.
 *
 * @module
 */

import { NtpError, type NtpErrorCode } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import { coreModule } from "../core/core.ts";
import { Broadcaster } from "./broadcaster.ts";
import { mergeClients, type ClientState, type ServerCounters } from "./clients.ts";
import { checkedReconfiguration, type Reconfiguration } from "./features.ts";
import type { CookieKeySet } from "./ntscookies.ts";
import type { ClockReading } from "./reading.ts";
import { REFERENCE_ID_RANDOM, ServerCore } from "./state.ts";
import { checkedState, extrasOf, type NtpServing, type ServeOptions, type ServerEvent, type ServerStats, type ServerUpdate } from "./serve.ts";
import { REASONS, attentionOf, countersOf, sharedMemory, type FromThread, type OpenedSockets, type ServeThread, type ServeThreads, type ThreadOptions, type ThreadTask, type ToThread } from "./threads.ts";

/** A thread that died is started again after so long, ms; each time twice that, and from the beginning once it lived well. */
const RESTART_MS = 100;
const RESTART_LIMIT_MS = 30_000;
const HEALTHY_MS = 60_000;
/** What a thread may take to stop, ms: it looks up every 100. */
const GRACE_MS = 1000;
/** How often a clock that is served is read, ms: its rate may change. */
const READ_MS = 250;
/** Hops that an answer to ntpq may take: as any packet. */
const CONTROL_TTL = 64;
/** Some 700 small datagrams; what comes at full speed in 4 ms. */
const RECEIVE_BUFFER = 256 * 1024;

type Told = Extract<FromThread, { told: number }>;
type Question = { readonly clients: true } | { readonly cookieKeys: CookieKeySet };

/** One place for a thread, filled again when its thread dies. */
class Post {
  readonly shared = sharedMemory();
  readonly descriptors: readonly number[] | undefined;
  thread: ServeThread | undefined;
  names: readonly string[] = [];
  failures = 0;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** Called when the thread is gone. */
  onGone: (error: Error | undefined) => void = () => {};
  onMessage: (message: FromThread) => void = () => {};
  /** Questions that are not answered yet, by number. */
  readonly #asked = new Map<number, (answer: Told | undefined) => void>();
  #questions = 0;

  constructor(descriptors: readonly number[] | undefined) {
    this.descriptors = descriptors;
  }

  tell(message: ToThread): void {
    if (!this.thread) return;
    this.thread.post(message);
    Atomics.add(attentionOf(this.shared), 0, 1);
  }

  /** Ask the thread; undefined where it has died, or does not tell within its patience. */
  ask(question: Question): Promise<Told | undefined> {
    if (!this.thread) return Promise.resolve(undefined);
    const ask = ++this.#questions;
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#answer(ask, undefined), GRACE_MS);
      this.#asked.set(ask, (answer) => {
        clearTimeout(late);
        resolve(answer);
      });
      this.tell({ ...question, ask });
    });
  }

  /** What the thread said. */
  hear(message: FromThread): void {
    if ("told" in message) this.#answer(message.told, message);
    else this.onMessage(message);
  }

  /** The thread is gone: nobody answers any more. */
  forget(): void {
    for (const ask of [...this.#asked.keys()]) this.#answer(ask, undefined);
  }

  #answer(ask: number, answer: Told | undefined): void {
    const resolve = this.#asked.get(ask);
    this.#asked.delete(ask);
    resolve?.(answer);
  }
}

/** Serve in threads. @throws {NtpError} as {@link serve} */
export async function serveInThreads(host: Host, threads: ServeThreads, options: ServeOptions, cookieKeys?: CookieKeySet): Promise<NtpServing> {
  const crew = new Crew(host, threads, { ...options, identity: host.random(new Uint8Array(REFERENCE_ID_RANDOM)), ...(cookieKeys && { cookieKeys }) });
  await crew.start();
  return crew;
}

/** What the threads are given to serve. */
interface CrewOptions extends ServeOptions {
  cookieKeys?: CookieKeySet;
  /** All threads are one server to NTPv5's clients, those that are started again, too. */
  identity: Uint8Array;
}

class Crew implements NtpServing {
  readonly #host: Host;
  readonly #threads: ServeThreads;
  readonly #options: CrewOptions;
  #sockets: OpenedSockets | undefined;
  #posts: Post[] = [];
  #addresses: readonly Endpoint[] = [];
  #latest: ServerUpdate | undefined;
  #reader: ReturnType<typeof setInterval> | undefined;
  #broadcaster: Broadcaster | undefined;
  /** Answers control messages, which threads hand on: what is reported is known here. */
  #controller: ServerCore | undefined;
  /** Why cards' stamps are not used, by whichever thread: each reason is told once. */
  readonly #software = new Set<string>();
  #closing: Promise<void> | undefined;

  constructor(host: Host, threads: ServeThreads, options: CrewOptions) {
    this.#host = host;
    this.#threads = threads;
    this.#options = { ...options };
  }

  get addresses(): readonly Endpoint[] {
    return this.#addresses;
  }

  get stats(): ServerStats {
    const sum: Record<string, number> = { received: 0, answered: 0, dropped: 0, failed: 0 };
    this.#sum(sum, (name) => (name.startsWith(REASONS) ? undefined : name));
    return sum as unknown as ServerStats;
  }

  get counters(): ServerCounters {
    const sum: Record<string, number> = {};
    this.#sum(sum, (name) => (name.startsWith(REASONS) ? name.slice(REASONS.length) : undefined));
    return sum as unknown as ServerCounters;
  }

  #sum(into: Record<string, number>, nameOf: (name: string) => string | undefined): void {
    for (const { names, shared } of this.#posts) {
      const counters = countersOf(shared);
      names.forEach((full, index) => {
        const name = nameOf(full);
        if (name !== undefined) into[name] = (into[name] ?? 0) + counters[index]!;
      });
    }
  }

  /** Of all threads; one that does not tell within its patience is left out. */
  async clients(): Promise<ClientState[]> {
    const told = await Promise.all(this.#posts.map((post) => post.ask({ clients: true })));
    return mergeClients(told.map((answer) => answer?.clients ?? []));
  }

  /** Resolves when every thread that lives opens cookies under them; one that is started later has them from its start. */
  async holdCookieKeys(cookieKeys: CookieKeySet): Promise<void> {
    this.#options.cookieKeys = cookieKeys;
    await Promise.all(this.#posts.map((post) => post.ask({ cookieKeys })));
  }

  configure(options: Reconfiguration): void {
    checkedReconfiguration(options);
    Object.assign(this.#options, options);
    for (const post of this.#posts) post.tell({ configure: options });
  }

  update(update: ServerUpdate): void {
    checkedState(update, this.#host);
    this.#latest = update;
    for (const post of this.#posts) post.tell({ update });
    this.#broadcaster?.update(update);
    this.#controller?.update(checkedState(update, this.#host));
  }

  async start(): Promise<void> {
    this.#sockets = this.#openSockets();
    const sets = this.#sockets?.sets ?? [undefined];
    try {
      // Before there are threads, so that none is ever root.
      if (this.#options.user !== undefined) this.#threads.dropPrivileges?.(this.#options.user);
      this.#posts = sets.map((set) => new Post(set));
      const ready = await Promise.all(this.#posts.map((post) => this.#launch(post)));
      this.#addresses = this.#sockets?.addresses ?? ready[0]!;
    } catch (error) {
      await this.close();
      throw error;
    }
    for (const post of this.#posts) this.#guard(post);
    if (this.#sockets && this.#options.broadcast) this.#broadcaster = new Broadcaster(this.#host, this.#options, this.#sockets);
    if (this.#options.control) this.#controller = new ServerCore(checkedState(this.#options, this.#host), () => this.#served(), extrasOf(this.#options, this.#host));
    if (this.#latest) this.#controller?.update(checkedState(this.#latest, this.#host));
    this.#followClock();
  }

  #served(): bigint {
    const now = this.#host.clock.now();
    return this.#controller?.served(now) ?? now;
  }

  #openSockets(): OpenedSockets | undefined {
    if (!this.#threads.openSockets) return undefined;
    const { listen, port = 123, workers = 1, interface: device, dscp, broadcast, hardwareTimestamps: wanted } = this.#options;
    const cards = wanted !== undefined && { cards: { wanted, tell: (reason: string) => this.#tellSoftware(reason) } };
    try {
      return this.#threads.openSockets({ listen, port, sets: workers, device, dscp, receiveBuffer: RECEIVE_BUFFER, broadcast: (broadcast?.length ?? 0) > 0, ...cards });
    } catch (cause) {
      throw bindError(listen ?? ["all addresses"], port, cause);
    }
  }

  /** Start a thread; resolves when it serves, with its own addresses if it opened sockets itself. */
  #launch(post: Post): Promise<readonly Endpoint[]> {
    const task = this.#taskOf(post);
    Atomics.store(attentionOf(post.shared), 0, 0);
    return new Promise((resolve, reject) => {
      post.onGone = (error) => reject(error ?? new NtpError("UNSUPPORTED", "a server thread ended before it served"));
      post.onMessage = (message) => {
        if ("ready" in message) {
          post.names = message.counters;
          resolve(message.ready);
        } else if ("failed" in message) {
          reject(new NtpError(message.failed.code as NtpErrorCode, message.failed.message));
          void post.thread?.terminate();
          post.thread = undefined;
        }
      };
      const thread = this.#threads.start(task, {
        message: (message) => this.#hear(message, post),
        gone: (error) => {
          if (post.thread !== thread) return;
          post.thread = undefined;
          post.forget();
          post.onGone(error);
        },
      });
      post.thread = thread;
    });
  }

  #taskOf(post: Post): ThreadTask {
    const own = post.descriptors ? {} : { port: this.#addresses[0]?.port ?? this.#options.port ?? 123 };
    const options: ThreadOptions = { ...sendable(this.#options), ...own };
    const { clock, cookieKeys } = this.#options;
    return {
      options,
      ...(this.#latest && { update: this.#latest }),
      ...(typeof clock === "object" && { reading: clock.reading() }),
      ...(cookieKeys && { cookieKeys }),
      shared: post.shared,
      module: coreModule(),
      ...(post.descriptors && { descriptors: post.descriptors, cards: this.#sockets?.cards ?? [] }),
    };
  }

  /** What concerns all threads is dealt with here, the rest is its post's. */
  #hear(message: FromThread, post: Post): void {
    if ("control" in message) this.#control(message);
    else if ("software" in message) this.#tellSoftware(message.software);
    else post.hear(message);
  }

  /** Start the thread again if it dies, ever later as long as it keeps dying. */
  #guard(post: Post): void {
    const since = Date.now();
    post.onMessage = () => {};
    post.onGone = (error) => {
      if (this.#closing) return;
      if (Date.now() - since > HEALTHY_MS) post.failures = 0;
      const restartMs = Math.min(RESTART_LIMIT_MS, RESTART_MS * 2 ** post.failures);
      post.failures += 1;
      this.#report({ kind: "thread-failed", message: error?.message ?? "it ended without being told to", restartMs });
      post.timer = setTimeout(() => this.#restart(post), restartMs);
    };
  }

  #restart(post: Post): void {
    this.#launch(post).then(
      () => {
        if (this.#closing) return;
        this.#guard(post);
        // The update may have come while it started.
        if (this.#latest) post.tell({ update: this.#latest });
        this.#report({ kind: "thread-restarted" });
      },
      (error: Error) => {
        if (this.#closing) return;
        this.#guard(post);
        post.onGone(error);
      },
    );
  }

  #control({ control, from, place }: Extract<FromThread, { control: Uint8Array }>): void {
    for (const fragment of this.#controller?.controlled(control) ?? []) {
      try {
        this.#sockets?.announce(fragment, { ...from, ttl: CONTROL_TTL, place });
      } catch {
        // No route back: as if it had been lost on its way.
      }
    }
  }

  #tellSoftware(reason: string): void {
    if (this.#software.has(reason)) return;
    this.#software.add(reason);
    try {
      this.#options.onSoftwareTimestamps?.(reason);
    } catch {
      // As for events: the server goes on.
    }
  }

  #report(event: ServerEvent): void {
    try {
      this.#options.onEvent?.(event);
    } catch {
      // What the listener makes of it is its own affair: the server goes on.
    }
  }

  #followClock(): void {
    if (typeof this.#options.clock !== "object") return;
    this.#reader = setInterval(() => this.#tellClock(), READ_MS);
  }

  #tellClock(): void {
    if (typeof this.#options.clock !== "object") return;
    const reading: ClockReading = this.#options.clock.reading();
    for (const post of this.#posts) post.tell({ reading });
    this.#broadcaster?.follow(reading);
    this.#controller?.follow(reading);
  }

  close(): Promise<void> {
    this.#closing ??= this.#stop();
    return this.#closing;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#reader);
    this.#broadcaster?.close();
    await Promise.all(this.#posts.map((post) => stopThread(post)));
    this.#sockets?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Let a thread answer what has come, and end it; by force if it does not. */
async function stopThread(post: Post): Promise<void> {
  clearTimeout(post.timer);
  const { thread } = post;
  if (!thread) return;
  let late: ReturnType<typeof setTimeout> | undefined;
  await new Promise<void>((resolve) => {
    post.onGone = () => resolve();
    post.onMessage = (message) => {
      if ("stopped" in message || "failed" in message) resolve();
    };
    late = setTimeout(resolve, GRACE_MS);
    post.tell({ stop: true });
  });
  clearTimeout(late);
  await thread.terminate();
}

/** Options without what cannot be sent to a thread, or need not be known there. */
function sendable({ control, clock: _clock, onEvent: _onEvent, onSoftwareTimestamps: _onSoftware, metrics: _metrics, nts: _nts, cookieKeys: _cookieKeys, ...options }: CrewOptions): ThreadOptions {
  const allow = typeof control === "object" ? control.allow : undefined;
  return { ...options, ...(control && { control: { ...(allow && { allow }) } }) };
}

function bindError(listen: readonly string[], port: number, cause: unknown): NtpError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const hint = port > 0 && port < 1024 ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE" : "";
  return new NtpError("SOCKET", `could not listen on ${listen.join(", ")} port ${port}: ${why}${hint}`, { cause });
}
