// SPDX-License-Identifier: MIT OR Apache-2.0
/** `escapement serve` as a process: its counters, and what chronyd thinks of it. Its end is in ending.test.ts. */
import { spawn, type ChildProcess } from "node:child_process";
import { describe, expect, it } from "vitest";
import { chronyOnce } from "../interop/chrony.ts";
import { eventually, titled, whySkipped } from "../support/peers.ts";
import { Asker, CLI, NODE, lacking, request, until } from "./built.ts";

async function start(...options: string[]): Promise<{ child: ChildProcess; port: number; metrics: number; ended: Promise<{ status: number | null; stats: Record<string, number> }> }> {
  const child = spawn(NODE, [CLI, "serve", "--stratum", "2", "--json", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout!.on("data", (data: Buffer) => (output += String(data)));
  const ended = new Promise<{ status: number | null; stats: Record<string, number> }>((resolve) =>
    child.once("close", (status) => resolve({ status, stats: (JSON.parse(output.trim().split("\n")[1] ?? "{}") as { stats: Record<string, number> }).stats })),
  );
  await until("the announcement", () => output.includes("\n"));
  const told = JSON.parse(output.split("\n")[0]!) as { addresses: [{ port: number }]; metrics?: { port: number } };
  return { child, port: told.addresses[0].port, metrics: told.metrics?.port ?? 0, ended };
}

describe.skipIf(lacking !== undefined)("a server process", () => {
  it("tells its counters over HTTP", async () => {
    const { child, port, metrics, ended } = await start("--listen", "127.0.0.1:0", "--metrics", ":0");
    await using asker = new Asker();
    await asker.send(request(1), port);
    await until("an answer", () => asker.replies.length === 1);
    // An answer leaves before it is counted.
    await eventually("the count", async () => (await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()).includes("escapement_server_answered_total 1\n") || undefined);
    child.kill("SIGTERM");
    expect((await ended).status).toBe(0);
  });
});

/** For some runs of chronyd, about eight seconds each, ms. */
const PATIENCE_MS = 60_000;
const noChrony = whySkipped(["chronyd"]);
describe.skipIf(lacking !== undefined || noChrony !== undefined)(titled("chronyd", noChrony), () => {
  it("agrees with the fast path to 100 µs on one machine", { timeout: 2 * PATIENCE_MS }, async () => {
    const { child, port, ended } = await start("--listen", ":0");
    let least = Infinity;
    // Four exchanges each time, of which a busy machine may have disturbed all.
    for (let tries = 0; tries < 10 && least >= 1e-4; tries++) {
      const { wrongBy, said } = await chronyOnce([`server 127.0.0.1 port ${port} iburst maxsamples 4`]);
      expect(wrongBy, said).toBeDefined();
      least = Math.min(least, Math.abs(wrongBy!));
    }
    child.kill("SIGTERM");
    await ended;
    expect(least).toBeLessThan(1e-4);
  });
});
