// SPDX-License-Identifier: MIT OR Apache-2.0
/** Who looks after a server's threads: with threads that fail as wanted, and time that passes as wanted. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runtimeClock } from "../../node/clock.ts";
import type { Host } from "../host.ts";
import { serve, type ServeOptions, type ServerEvent } from "./serve.ts";
import { attentionOf, countersOf, type OpenedSockets, type ServeThreads, type ThreadEvents, type ThreadTask, type ToThread } from "./threads.ts";

const clock = runtimeClock();

/** A thread that does as it is told by the test. */
interface FakeThread {
  readonly task: ThreadTask;
  readonly events: ThreadEvents;
  readonly heard: ToThread[];
  terminated: boolean;
}

let threads: FakeThread[];
let events: ServerEvent[];
let closed: number;
/** What a new thread does at once. */
let behaviour: (thread: FakeThread) => void;
let refuse: Error | undefined;

const serving = ({ events: { message } }: FakeThread) => message({ ready: [], counters: ["received", "answered", "strange"] });

beforeEach(() => {
  vi.useFakeTimers();
  threads = [];
  events = [];
  closed = 0;
  refuse = undefined;
  behaviour = serving;
});
afterEach(() => vi.useRealTimers());

function lend(): Host {
  const sockets: OpenedSockets = { addresses: [{ address: "192.0.2.1", port: 7 }], sets: [[11], [12]], announce() {}, close: () => void (closed += 1) };
  const serveThreads: ServeThreads = {
    openSockets(plan) {
      if (refuse) throw refuse;
      return { ...sockets, sets: sockets.sets.slice(0, plan.sets) };
    },
    start(task, handlers) {
      const thread: FakeThread = { task, events: handlers, heard: [], terminated: false };
      threads.push(thread);
      queueMicrotask(() => behaviour(thread));
      return {
        post(message) {
          thread.heard.push(message);
          if ("stop" in message) queueMicrotask(() => handlers.message({ stopped: true }));
        },
        async terminate() {
          thread.terminated = true;
          handlers.gone(undefined);
        },
      };
    },
  };
  return { runtime: "node", version: "", clock, random: (bytes) => bytes, openUdp: () => Promise.reject(new Error("not here")), serveThreads };
}

const start = (options: ServeOptions = {}) => serve(lend(), { port: 7, stratum: 3, onEvent: (event) => events.push(event), ...options });
const die = (thread: FakeThread, message = "boom") => thread.events.gone(new Error(message));

describe("threads", () => {
  it("get their sockets, the options that can be sent, and the core compiled already", async () => {
    const server = await start({ workers: 2, onEvent: () => {} });
    expect(threads.map(({ task }) => task.descriptors)).toEqual([[11], [12]]);
    expect(threads[0]!.task.module).toBeInstanceOf(WebAssembly.Module);
    expect(() => structuredClone(threads[0]!.task.options)).not.toThrow();
    expect(server.addresses).toEqual([{ address: "192.0.2.1", port: 7 }]);
    await server.close();
    expect(threads.map(({ terminated }) => terminated)).toEqual([true, true]);
    expect(closed).toBe(1);
  });

  it("count for themselves, whatever they count, and the server sums", async () => {
    const server = await start({ workers: 2 });
    threads.forEach(({ task }, index) => countersOf(task.shared).set([10 + index, 5, 2]));
    expect(server.stats).toEqual({ received: 21, answered: 10, dropped: 0, failed: 0, strange: 4 });
    await server.close();
  });

  it("are told by a message, and by a word that says how many there are", async () => {
    const server = await start();
    server.update({ stratum: 4 });
    server.update({ stratum: 5 });
    expect(threads[0]!.heard).toEqual([{ update: { stratum: 4 } }, { update: { stratum: 5 } }]);
    expect(Atomics.load(attentionOf(threads[0]!.task.shared), 0)).toBe(2);
    expect(() => server.update({ stratum: 77 })).toThrow("stratum");
    expect(threads[0]!.heard).toHaveLength(2);
    await server.close();
  });

  it("hear four times a second of a clock that is served", async () => {
    let rate = 0;
    const server = await start({ clock: { reading: () => ({ wallNs: 1n, timeNs: 2n, rate: (rate += 1e-6) }) } });
    await vi.advanceTimersByTimeAsync(1000);
    expect(threads[0]!.task.reading!.rate).toBeCloseTo(1e-6, 12);
    expect(threads[0]!.heard.length).toBe(4);
    expect((threads[0]!.heard.at(-1) as { reading: { rate: number } }).reading.rate).toBeCloseTo(5e-6, 12);
    await server.close();
    await vi.advanceTimersByTimeAsync(1000);
    expect(rate).toBeCloseTo(5e-6);
  });
});

describe("a thread that dies", () => {
  it("is reported and started again with the same socket, the same memory and the latest update", async () => {
    const server = await start();
    countersOf(threads[0]!.task.shared)[0] = 42;
    server.update({ stratum: 9 });
    die(threads[0]!);
    expect(events).toEqual([{ kind: "thread-failed", message: "boom", restartMs: 100 }]);
    await vi.advanceTimersByTimeAsync(99);
    expect(threads).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(threads).toHaveLength(2);
    expect(threads[1]!.task.descriptors).toEqual([11]);
    expect(threads[1]!.task.update).toEqual({ stratum: 9 });
    expect(Atomics.load(attentionOf(threads[1]!.task.shared), 0)).toBe(1);
    expect(server.stats.received).toBe(42);
    expect(events.at(-1)).toEqual({ kind: "thread-restarted" });
    await server.close();
  });

  it("again and again is started ever later, half a minute at most, and soon again once it lived a minute", async () => {
    const server = await start();
    for (let i = 0; i < 12; i++) {
      die(threads.at(-1)!);
      await vi.advanceTimersByTimeAsync(30_000);
    }
    const waits = events.flatMap((event) => (event.kind === "thread-failed" ? [event.restartMs] : []));
    expect(waits.slice(0, 10)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
    await vi.advanceTimersByTimeAsync(61_000);
    die(threads.at(-1)!);
    expect(events.at(-1)).toMatchObject({ restartMs: 100 });
    await server.close();
  });

  it("and cannot be started again is tried on", async () => {
    const server = await start();
    behaviour = ({ events: { message } }) => message({ failed: { code: "SOCKET", message: "no more" } });
    die(threads[0]!);
    await vi.advanceTimersByTimeAsync(100);
    expect(events.at(-1)).toMatchObject({ kind: "thread-failed", message: "no more", restartMs: 200 });
    behaviour = serving;
    await vi.advanceTimersByTimeAsync(200);
    expect(events.at(-1)).toEqual({ kind: "thread-restarted" });
    expect(threads.filter(({ terminated }) => terminated)).toHaveLength(1);
    await server.close();
  });

  it("is not started again once the server is closed", async () => {
    const server = await start();
    die(threads[0]!);
    await server.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(threads).toHaveLength(1);
    expect(closed).toBe(1);
  });

  it("does not take the server with it when the report's reader throws", async () => {
    const server = await start({ onEvent: () => { throw new Error("the reader's own"); } });
    die(threads[0]!);
    await vi.advanceTimersByTimeAsync(100);
    expect(threads).toHaveLength(2);
    await server.close();
  });
});

describe("a start that fails", () => {
  it("in one thread ends the others and closes the sockets", async () => {
    behaviour = (thread) => (threads.indexOf(thread) === 1 ? thread.events.message({ failed: { code: "UNSUPPORTED", message: "not here" } }) : serving(thread));
    await expect(start({ workers: 2 })).rejects.toMatchObject({ code: "UNSUPPORTED", message: "not here" });
    expect(threads.map(({ terminated }) => terminated)).toEqual([true, true]);
    expect(closed).toBe(1);
  });

  it("because a thread ends before it serves is an error, not silence", async () => {
    behaviour = (thread) => thread.events.gone(undefined);
    await expect(start()).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("for want of a port names it, and what would help", async () => {
    refuse = Object.assign(new Error("bind EACCES"), { code: "EACCES" });
    await expect(start({ port: 123 })).rejects.toMatchObject({ code: "SOCKET", message: expect.stringMatching(/port 123: bind EACCES; ports below 1024 need root/) as string });
    expect(threads).toEqual([]);
  });
});

describe("the end", () => {
  it("is by force when a thread does not stop by itself", async () => {
    const server = await start();
    threads[0]!.events.message = () => {};
    const thread = threads[0]!;
    const closing = server.close();
    // The fake answers "stop" at once; this one is deaf.
    thread.heard.length = 0;
    await vi.advanceTimersByTimeAsync(1000);
    await closing;
    expect(thread.terminated).toBe(true);
  });
});
