// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How several threads of one server share a load: answers and processor time of each.
 *
 * The built server runs in this process, so that the counters that each thread keeps, and which the server sums, can be read.
 *
 * @module
 */

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Host } from "../../hosts/common/host.ts";
import { countersOf } from "../../hosts/common/server/threads.ts";
import { BATCH_COUNTERS } from "../../hosts/native/server-loop.ts";
import { DENIED, runLoad } from "./contenders.ts";
import type { LoadPlan } from "./load.ts";

type Built = Pick<typeof import("../../hosts/node/index.ts"), "createApi" | "lendHost">;

const ANSWERED = BATCH_COUNTERS.indexOf("answered");

/** Processor seconds of each thread of this process, by its identifier. */
function threadSeconds(): Map<string, number> {
  return new Map(readdirSync("/proc/self/task").map((task) => [task, Number(readFileSync(`/proc/self/task/${task}/schedstat`, "utf8").split(" ")[0]) / 1e9]));
}

export async function shareAmong(workers: number, plan: Omit<LoadPlan, "port">): Promise<void> {
  const { createApi, lendHost } = (await import(pathToFileURL(path.resolve("dist/node/index.js")).href)) as Built;
  const host = await lendHost();
  const shared: SharedArrayBuffer[] = [];
  const threads: NonNullable<Host["serveThreads"]> = {
    ...host.serveThreads!,
    start(task, events) {
      shared.push(task.shared);
      return host.serveThreads!.start(task, events);
    },
  };
  const server = await createApi(async () => ({ ...host, serveThreads: threads })).serve({
    listen: ["127.0.0.1"], port: 0, stratum: 3, workers, interleaved: true, clientLog: true,
    access: DENIED.map((prefix) => ({ action: "deny", prefix })), rateLimit: { interval: 1e-6, burst: 255, leak: 0 },
  });
  try {
    const { port } = server.addresses[0]!;
    await runLoad({ port, ...plan, requests: plan.requests! / 4 });
    const before = shared.map((memory) => countersOf(memory)[ANSWERED]!);
    const since = threadSeconds();
    const { sent, answered, wrong } = await runLoad({ port, ...plan });
    const each = shared.map((memory, index) => countersOf(memory)[ANSWERED]! - before[index]!);
    const busy = [...threadSeconds()].map(([task, seconds]) => seconds - (since.get(task) ?? 0)).sort((a, b) => b - a).slice(0, workers);
    console.log(`\n${workers} workers, closed loop, ${plan.sources} addresses: ${answered} answers to ${sent} requests (wrong ${wrong})`);
    console.log(`  answers of each: ${each.map((count) => `${count} (${((100 * count) / answered).toFixed(1)} %)`).join(", ")}; processor time of each: ${busy.map((seconds) => `${seconds.toFixed(2)} s`).join(", ")}`);
  } finally {
    await server.close();
  }
}
