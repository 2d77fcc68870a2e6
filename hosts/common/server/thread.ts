// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What happens inside a server's thread, on every runtime: it is told what to serve, serves, and ends when it is told to.
 *
 * Two ways: a loop of batches over sockets that another thread opened (`makeLoop`, Linux with FFI), or the runtime's own
 * sockets. Tested in tests/server/native.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import { shareCoreModule } from "../core/core.ts";
import { carry, type ClockReading } from "./reading.ts";
import { checkedReconfiguration } from "./features.ts";
import { turn } from "./drain.ts";
import { checkedState, extrasOf, serveHere } from "./serve.ts";
import { ServerCore } from "./state.ts";
import { REASONS, attentionOf, countersOf, type FromThread, type ServerCard, type ThreadTask, type ToThread } from "./threads.ts";

/** A loop of batches that blocks its thread. */
export interface Loop {
  /** The names of the counters that it keeps. */
  readonly names: readonly string[];
  /** Serve until `attention` no longer holds `seen`. */
  run(attention: Int32Array, seen: number): void;
  /** Answer what has come already. */
  drain(): void;
}

export interface LoopTask {
  readonly descriptors: readonly number[];
  readonly counters: Float64Array;
  /** Takes a control message that came from who may send one; the loop has forgotten it then. */
  readonly control: (control: Uint8Array, from: Endpoint, place: number) => void;
  /** Cards that stamp; none: the kernel alone does. */
  readonly cards: readonly ServerCard[];
  /** Takes why a card's stamps were not used. */
  readonly software: (reason: string) => void;
}

export interface ThreadMeans {
  readonly host: Host;
  /** Absent where the host has no batches. */
  readonly makeLoop?: (server: ServerCore, task: LoopTask) => Loop;
  post(message: FromThread): void;
  /** Messages in order. */
  listen(handler: (message: ToThread) => void): void;
}

/** How often a thread with the runtime's own sockets publishes its counters, ms. */
const PUBLISH_MS = 50;

/** The thread's life; whoever started it ends it. Never rejects for what the other side can be told of. */
export async function runThread(task: ThreadTask, means: ThreadMeans): Promise<void> {
  shareCoreModule(task.module);
  try {
    if (task.descriptors && means.makeLoop) await runLoop(task, task.descriptors, means);
    else await runOwn(task, means);
    means.post({ stopped: true });
  } catch (error) {
    if (!(error instanceof NtpError)) throw error;
    means.post({ failed: { code: error.code, message: error.message } });
  }
}

async function runLoop({ options, update, reading, cookieKeys, shared, cards = [] }: ThreadTask, descriptors: readonly number[], { host, makeLoop, post, listen }: ThreadMeans): Promise<void> {
  const server = new ServerCore(checkedState(options, host), () => host.clock.now(), extrasOf(options, host));
  if (update) server.update(checkedState(update, host));
  if (reading) server.follow(reading);
  if (cookieKeys) server.holdCookieKeys(cookieKeys);
  const loop = makeLoop!(server, {
    descriptors,
    counters: countersOf(shared),
    control: (control, from, place) => post({ control, from, place }),
    cards,
    software: (reason) => post({ software: reason }),
  });
  const attention = attentionOf(shared);
  // Counted from the start of this thread, as the word is: a message may have been posted before anybody listened.
  let heard = 0;
  let stop = false;
  listen((message) => {
    heard += 1;
    if ("update" in message) server.update(checkedState(message.update, host));
    else if ("reading" in message) server.follow(message.reading);
    else if ("configure" in message) server.configure(checkedReconfiguration(message.configure));
    else if ("clients" in message) post({ told: message.ask, clients: server.clients() });
    else if ("cookieKeys" in message) {
      server.holdCookieKeys(message.cookieKeys);
      post({ told: message.ask });
    } else stop = true;
  });
  post({ ready: [], counters: loop.names });
  while (!stop) {
    loop.run(attention, heard);
    // The word was written after the message was posted: it is on its way.
    while (!stop && heard !== Atomics.load(attention, 0)) await turn();
  }
  loop.drain();
}

/** Serve with the runtime's own sockets, in a thread where nothing else delays them. */
async function runOwn({ options, update, reading: first, cookieKeys, shared }: ThreadTask, { host, post, listen }: ThreadMeans): Promise<void> {
  let reading: ClockReading | undefined = first;
  const now = () => (reading ? carry(reading, host.clock.now()) : host.clock.now());
  const own: Host = { ...host, clock: { ...host.clock, now, monotonic: () => host.clock.monotonic(), precision: host.clock.precision, description: host.clock.description } };
  const server = await serveHere(own, { ...options, clock: now }, cookieKeys);
  if (update) server.update(update);
  const counters = countersOf(shared);
  const seen = () => [...Object.values(server.stats as unknown as Record<string, number>), ...Object.values(server.counters)];
  const before = seen().map((_, index) => counters[index]!);
  const publish = () => seen().forEach((value, index) => (counters[index] = before[index]! + value));
  const timer = setInterval(publish, PUBLISH_MS);
  const stopped = new Promise<void>((resolve) =>
    listen((message) => {
      if ("update" in message) server.update(message.update);
      else if ("reading" in message) reading = message.reading;
      else if ("configure" in message) server.configure(message.configure);
      else if ("clients" in message) void server.clients().then((clients) => post({ told: message.ask, clients }));
      else if ("cookieKeys" in message) void server.holdCookieKeys(message.cookieKeys).then(() => post({ told: message.ask }));
      else resolve();
    }),
  );
  post({ ready: server.addresses, counters: [...Object.keys(server.stats), ...Object.keys(server.counters).map((name) => `${REASONS}${name}`)] });
  await stopped;
  clearInterval(timer);
  await server.close();
  publish();
}
