// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The server's threads on whatever runtime this is, from the installed package. Argument: "kernel" where the fast path must be
 * at hand, "user" where it must not. Prints one JSON document: what was seen, or the error.
 *
 * @module
 */

import process from "node:process";
import { createApi, lendHost, type Host, type ServeThread } from "escapement";

/** Only a failure takes so long, s. */
const TIMEOUT_S = 30;

/** Look until it holds, or until it is clear that it never will. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + TIMEOUT_S * 1000; performance.now() < end && !(await holds()); ) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function run(stamps: string): Promise<object> {
  const host: Host = await lendHost();
  const threads: ServeThread[] = [];
  const lent = host.serveThreads!;
  const serveThreads: NonNullable<Host["serveThreads"]> = {
    ...lent,
    start(task, events) {
      const thread = lent.start(task, events);
      threads.push(thread);
      return thread;
    },
  };
  const { serve, query } = createApi(async () => ({ ...host, serveThreads }));
  const events: string[] = [];
  const workers = stamps === "kernel" ? 2 : 1;
  const listen = stamps === "kernel" ? {} : { listen: ["127.0.0.1"] };
  const server = await serve({ ...listen, port: 0, stratum: 2, workers, metrics: { port: 0 }, onEvent: ({ kind }) => events.push(kind) });
  const { port } = server.addresses[0]!;
  let asked = 0;
  const ask = (address = "127.0.0.1") => (asked++, query(`${address}:${port}`, { timeout: TIMEOUT_S }));
  const first = await ask();
  const other = stamps === "kernel" ? await ask("127.0.0.5") : first;
  const text = await (await fetch(`http://127.0.0.1:${server.metrics!.port}/metrics`)).text();
  server.update({ stratum: 4 });
  // Threads look up every 100 ms.
  let updated = await ask();
  await until(async () => updated.stratum === 4 || ((updated = await ask()), false));
  await threads[0]!.terminate();
  await until(() => events.includes("thread-restarted"));
  const again = await ask();
  // An answer leaves before it is counted.
  await until(() => server.stats.answered >= asked);
  const { received, answered } = server.stats;
  const begin = performance.now();
  await server.close();
  return {
    threads: threads.length, events, usable: [first, other, updated, again].map(({ usable }) => usable), strata: [first.stratum, updated.stratum, again.stratum],
    precision: first.precision, asked, received, answered, metrics: text.includes("escapement_server_received_total") && text.endsWith("# EOF\n"),
    closedInMs: performance.now() - begin,
  };
}

try {
  console.log(JSON.stringify(await run(process.argv[2] ?? "kernel")));
} catch (error) {
  console.log(JSON.stringify({ error: String((error as Error).stack) }));
}
process.exit(0);
