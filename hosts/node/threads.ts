// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's threads by `node:worker_threads`, which Deno and Bun have, too.
 *
 * A thread runs the built file server-thread.js beside this one. Where that is not to be found (the sources themselves, a
 * program that was bundled) there are no threads, and the server runs in the thread of its caller.
 *
 * Tested in tests/server/runtimes.test.ts.
 *
 * @module
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { Host } from "../common/host.ts";
import type { ServerCore } from "../common/server/state.ts";
import { runThread, type LoopTask } from "../common/server/thread.ts";
import type { FromThread, ServeThread, ServeThreads, SocketPlan, ThreadEvents, ThreadTask, ToThread } from "../common/server/threads.ts";
import type { Ffi } from "../native/ffi.ts";
import { cardMeans } from "../native/card-means.ts";
import { CardLines } from "../native/server-cards.ts";
import { BatchLoop } from "../native/server-loop.ts";
import { bindServerLibc } from "../native/server-libc.ts";
import { dropPrivileges } from "../native/privileges.ts";
import { openServerSockets } from "../native/server-sockets.ts";

/** Marks our own threads. */
const ROLE = "escapement server";

interface Data {
  readonly role: string;
  readonly task: ThreadTask;
}

/** What a runtime lends of threads: those of dist/`runtime`, found from `here`, a module of the same build. */
export function lendThreads(ffi: Ffi | undefined, runtime: "node" | "deno" | "bun", here: string): ServeThreads | undefined {
  const file = threadFile(runtime, here);
  if (!file) return undefined;
  const libc = ffi && bindServerLibc(ffi);
  return {
    ...(libc && { openSockets: (plan: SocketPlan) => openServerSockets(libc, plan), dropPrivileges: (user: string) => dropPrivileges(ffi, { user }) }),
    start: (task, events) => startThread(file, task, events),
  };
}

/** The bundler puts this module beside the file, or into a folder of shared pieces next to it. */
function threadFile(runtime: string, here: string): URL | undefined {
  const places = [`./server-thread.js`, `../${runtime}/server-thread.js`].map((path) => new URL(path, here));
  return places.find((place) => {
    try {
      return place.protocol === "file:" && existsSync(fileURLToPath(place));
    } catch {
      return false;
    }
  });
}

/** What is meant for a program given on the command line is wrong for a file. */
function forwardable(): { execArgv?: string[] } {
  const unfit = process.execArgv.some((argument) => argument.startsWith("--input-type"));
  return unfit ? { execArgv: process.execArgv.filter((argument) => argument.startsWith("--") && !/^--(input-type|eval|print)/.test(argument)) } : {};
}

function startThread(file: URL, task: ThreadTask, events: ThreadEvents): ServeThread {
  const worker = new Worker(file, { workerData: { role: ROLE, task } satisfies Data, ...forwardable() });
  let failure: Error | undefined;
  worker.on("message", (message: FromThread) => events.message(message));
  worker.on("error", (error) => (failure = error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => events.gone(failure));
  return {
    post: (message) => worker.postMessage(message),
    terminate: async () => void (await worker.terminate()),
  };
}

// --- the thread's end ---

/** Be the thread that this file was started as. */
export async function runHere(lendHost: () => Promise<Host>, lendFfi: () => Promise<Ffi | undefined>): Promise<void> {
  const data = workerData as Partial<Data> | null;
  if (isMainThread || !parentPort || data?.role !== ROLE || !data.task) return;
  const port = parentPort;
  const ffi = await lendFfi();
  const libc = ffi && bindServerLibc(ffi);
  await runThread(data.task, {
    host: await lendHost(),
    ...(libc && { makeLoop: (server, task) => new BatchLoop(libc, server, task, linesOf(ffi, server, task)) }),
    post: (message) => port.postMessage(message),
    listen: (handler) => port.on("message", (message: ToThread) => handler(message)),
  });
}

/** The clocks of the cards that stamp for this thread's sockets. */
function linesOf(ffi: Ffi, { core }: ServerCore, { cards, software }: LoopTask): CardLines | undefined {
  const means = cards.length > 0 ? cardMeans(ffi) : undefined;
  return means && new CardLines(core, means, cards, software);
}
