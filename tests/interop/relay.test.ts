// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The relay on every runtime, between a client on every runtime and chronyd, which counts and authenticates what it is asked:
 * datagrams with NTS, key establishment by TCP, plain NTP, the relay's own time; and what is none of its targets.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RUNS, missing, type RuntimeRun } from "../contract/runtimes.ts";
import { COMMAND, Peer, run, titled, untilReady, whySkipped } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { numberIn } from "./chrony.ts";
import { chronyNtsServer, type NtsChronyd } from "./chrony-nts.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);
const pki = new PkiFiles();
const stranger = new PkiFiles();

/** One way of running each runtime. */
const RUNTIMES = RUNS.filter(({ name }) => /^(Node 2\d+(\.\d+)* with koffi|Deno with FFI|Bun with FFI)$/.test(name));
const start = ({ command, flags }: RuntimeRun, args: readonly string[]) => new Peer(command, [...flags, COMMAND, ...args]);
const here = RUNTIMES[0]!;

interface Told {
  readonly status: number | null;
  readonly samples: readonly { readonly authenticated: boolean; readonly problems: readonly unknown[]; readonly offset: number; readonly rootDistance: number; readonly stratum: number }[];
  readonly errors: readonly { readonly code?: string; readonly message?: string }[];
}

async function ask({ command, flags }: RuntimeRun, url: string, source: string, args: readonly string[] = []): Promise<Told> {
  const { status, stdout, stderr } = await run(command, [...flags, COMMAND, "query", source, "--relay", url, "--json", "--timeout", "5", ...args]);
  if (!stdout) throw new Error(stderr);
  return { status, ...(JSON.parse(stdout) as Omit<Told, "status">) };
}

/** A relay as a process, and where it listens. */
async function startedRelay(runtime: RuntimeRun, args: readonly string[]): Promise<{ peer: Peer; url: string }> {
  const peer = start(runtime, ["relay", "--listen", "127.0.0.1:0", "--json", ...args]);
  const { port } = await untilReady("a relay that listens", () => (peer.stdout.includes("\n") ? (JSON.parse(peer.stdout) as { port: number }) : undefined), peer);
  return { peer, url: `ws://127.0.0.1:${port}/` };
}

const present = RUNTIMES.filter((runtime) => !missing(runtime));
for (const absent of RUNTIMES.filter(missing)) it.skip(`${absent.name}: ${missing(absent)}`, () => {});

describe.skipIf(skipped)(titled("a relay before chronyd", skipped), () => {
  let server: NtsChronyd;
  beforeAll(async () => {
    server = await chronyNtsServer({ pki });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());
  const targets = () => ["--allow", `tcp:${server.address}:${server.kePort}`, "--allow", `udp:${server.address}:${server.port}`];
  const authenticated = async () => numberIn(await server.report("serverstats"), "Authenticated NTP packets");

  describe.each(present)("that runs on $name", (runtime) => {
    let peer: Peer;
    let url: string;
    beforeAll(async () => {
      ({ peer, url } = await startedRelay(runtime, [...targets(), "--stratum", "3", "--root-dispersion", "0.05", "--rate", "50"]));
    });
    afterAll(() => peer?.stop());

    it("carries key establishment and authenticated datagrams", async () => {
      const before = await authenticated();
      const { status, samples, errors } = await ask(here, url, `nts:${server.address}:${server.kePort}`, ["--ca", pki.ca]);
      expect({ status, errors }).toEqual({ status: 0, errors: [] });
      expect(samples).toMatchObject([{ authenticated: true, problems: [] }]);
      expect(Math.abs(samples[0]!.offset)).toBeLessThan(samples[0]!.rootDistance);
      expect((await authenticated()) - before).toBe(1);
      record("chronyd", "server", `\`query --relay nts:\` by a relay on ${runtime.name.split(" ")[0]}`, "Authenticated NTP packets 1");
    });

    it("does not make a stranger's certificate good", async () => {
      const before = await authenticated();
      const { status, samples, errors } = await ask(here, url, `nts:${server.address}:${server.kePort}`, ["--ca", stranger.ca]);
      expect({ status, samples }).toEqual({ status: 1, samples: [] });
      expect(errors).toMatchObject([{ code: "TLS" }]);
      expect(await authenticated()).toBe(before);
    });

    it("carries plain NTP, which stays unauthenticated", async () => {
      const { status, samples } = await ask(here, url, `${server.address}:${server.port}`);
      expect(status).toBe(0);
      expect(samples).toMatchObject([{ authenticated: false, problems: [], stratum: 1 }]);
    });

    it("carries nothing to others", async () => {
      const { status, errors } = await ask(here, url, `${server.address}:${server.port + 1}`);
      expect(status).toBe(1);
      expect(errors[0]?.message).toContain("none of its targets");
    });

    it("tells its own time, unauthenticated, with its bound", async () => {
      const { samples } = await ask(here, url, "_relay");
      expect(samples).toMatchObject([{ authenticated: false, stratum: 3, problems: [] }]);
      expect(samples[0]!.rootDistance).toBeGreaterThan(0.05);
    });

    it("tells the time by HTTP", async () => {
      const response = await fetch(`${url.replace("ws:", "http:")}?1700000000.125`);
      const { it: asked, st, bound } = (await response.json()) as { it: number; st: number; bound: number };
      expect({ asked, bound: bound >= 0.05, cors: response.headers.get("access-control-allow-origin") }).toEqual({ asked: 1700000000.125, bound: true, cors: "*" });
      expect(Math.abs(st - Date.now() / 1000)).toBeLessThan(1);
    });

    it("ends when it is told to, and tells its counters", async () => {
      const { status, stdout } = await peer.stop();
      expect(status).toBe(0);
      const { stats } = JSON.parse(stdout.trim().split("\n")[1] ?? "{}") as { stats: Record<string, number> };
      expect(stats).toMatchObject({ replies: 2, streams: 2, forbidden: 1, openConnections: 0, openStreams: 0 });
    });
  });

  describe("asked by a client on", () => {
    let peer: Peer;
    let url: string;
    beforeAll(async () => {
      ({ peer, url } = await startedRelay(here, [...targets(), "--rate", "50"]));
    });
    afterAll(() => peer?.stop());

    it.each(present)("$name: authenticated time", async (runtime) => {
      const { status, samples, errors } = await ask(runtime, url, `nts:${server.address}:${server.kePort}`, ["--ca", pki.ca]);
      expect({ status, errors }).toEqual({ status: 0, errors: [] });
      expect(samples).toMatchObject([{ authenticated: true, problems: [] }]);
    });
  });
});
