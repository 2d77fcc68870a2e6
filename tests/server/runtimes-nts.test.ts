// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS served by other runtimes than this one: Bun in threads, on the fast path and on its own sockets, asked by our client and
 * followed by chronyd; Deno, which has no TLS for it, refuses before it binds anything.
 */
import { cpSync, existsSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { authData, chronyNtsClient } from "../interop/chrony-nts.ts";
import { RUNS, missing } from "../contract/runtimes.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { COMMAND, Peer, escapement, eventually, freePort, freshDirectory, freeTcpPort, loopbackAlias, run, titled, whySkipped } from "../support/peers.ts";

const bun = RUNS.find(({ name }) => name === "Bun with FFI")!;
const deno = RUNS.find(({ name }) => name === "Deno with FFI")!;
const noBuild = existsSync(COMMAND) ? undefined : "needs a build (node build/build.mjs)";
const [noBun, noDeno] = [bun, deno].map((one) => noBuild ?? missing(one));
const noChrony = whySkipped(["chronyd", "chronyc"]);
const pki = new PkiFiles();
/** The package as it is installed: beside our sources, Bun would go by their tsconfig.json to Node's host. */
const folder = freshDirectory();
const command = path.join(folder, "dist/cli/main.js");
beforeAll(() => {
  if (noBuild !== undefined) return;
  cpSync(path.resolve(COMMAND, "../.."), path.join(folder, "dist"), { recursive: true });
  cpSync("package.json", path.join(folder, "package.json"));
  symlinkSync(path.resolve("node_modules"), path.join(folder, "node_modules"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `serve` with NTS as this runtime runs it; asks for keys at `kePort`. */
async function serveBy(runtime: (typeof RUNS)[number], options: readonly string[]) {
  const address = loopbackAlias();
  const [port, kePort] = [await freePort(address), await freeTcpPort(address)];
  const { certificate, key } = pki.issue(address);
  const nts = ["--nts-cert", certificate, "--nts-key", key, "--nts-listen", `${address}:${kePort}`];
  return { address, kePort, program: path.resolve(runtime.command), args: [...runtime.flags, command, "serve", "--listen", `${address}:${port}`, "--stratum", "1", "--refid", "GPS", "--json", ...nts, ...options] };
}

describe.skipIf(noBun).each([
  ["two threads of the fast path", ["--workers", "2"], -15],
  ["a thread with its own sockets", ["--portable"], 0],
] as const)(titled("Bun serves NTS in %s", noBun), (_, options, precision) => {
  it(titled("our client and chronyd get keys, cookies and time", noChrony), async () => {
    const { address, kePort, program, args } = await serveBy(bun, options);
    await using server = new Peer(program, args);
    await eventually("the announcement", () => server.stdout.includes("\n") || undefined, server);
    const { status, stdout, stderr } = await escapement(["query", `nts:${address}:${kePort}`, "--ca", pki.ca, "--json", "--timeout", "20"]);
    expect(status, stderr + server.said).toBe(0);
    const [sample] = (JSON.parse(stdout) as { samples: { usable: boolean; authenticated: unknown; stratum: number; precision: number }[] }).samples;
    expect(sample).toMatchObject({ problems: [], stratum: 1 });
    if (precision < 0) expect(sample!.precision).toBeLessThan(precision);
    if (noChrony !== undefined) return;
    await using client = await chronyNtsClient([{ address, kePort }], { pki });
    const data = await eventually("chronyd to select it by NTS", async () => {
      const now = await authData(client, address);
      return (await client.ask("sources")).includes(`^* ${address}`) && now.cookies === 8 ? now : undefined;
    }, client.peer);
    expect(data).toMatchObject({ mode: "NTS", attempts: 0, nak: 0 });
    const ended = await server.stop();
    const { counters, stats } = JSON.parse(ended.stdout.trim().split("\n").at(-1)!) as { counters: { nts: number }; stats: { ke: { served: number } } };
    // One by each for keys; each packet of both proved itself.
    expect(stats.ke.served).toBe(2);
    expect(counters.nts).toBeGreaterThanOrEqual(4);
  });
});

describe.skipIf(noDeno)(titled("Deno asked to serve NTS", noDeno), () => {
  it("refuses, says why and what to do, and answers nobody", async () => {
    const { program, args } = await serveBy(deno, []);
    const { status, stdout, stderr } = await run(program, args);
    expect(stderr).toContain("cannot serve NTS key establishment here: the TLS of Deno has no exporter (RFC 8446 §7.5), from which NTS takes its keys; run it on Node or Bun");
    expect([status === 0, stdout]).toEqual([false, ""]);
  });
});
