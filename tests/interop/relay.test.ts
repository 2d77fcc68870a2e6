// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The relay on every runtime, between a client on every runtime and chronyd, which counts and authenticates what it is asked:
 * datagrams with NTS, key establishment by TCP, plain NTP, the relay's own time; and what it refuses.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { RUNS, missing, type RuntimeRun } from "../contract/runtimes.ts";
import { LONGEST_FRAME, readFrame, RELAY_ERROR, SUBPROTOCOL, writeFrame } from "../../hosts/common/relay/protocol.ts";
import { COMMAND, Peer, run, titled, untilReady, whySkipped } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { numberIn } from "./chrony.ts";
import { chronyNtsServer, type NtsChronyd } from "./chrony-nts.ts";
import { record } from "./record.ts";

const ORIGIN = "https://page.example";
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
  const { status, stdout, stderr } = await run(command, [...flags, COMMAND, "query", source, "--relay", url, "--json", "--timeout", "30", ...args]);
  if (!stdout) throw new Error(stderr);
  return { status, ...(JSON.parse(stdout) as Omit<Told, "status">) };
}

/** A relay as a process, and where it listens. */
async function startedRelay(runtime: RuntimeRun, args: readonly string[]): Promise<{ peer: Peer; url: string; metrics: string }> {
  const peer = start(runtime, ["relay", "--listen", "127.0.0.1:0", "--json", ...args]);
  const told = await untilReady("a relay that listens", () => (peer.stdout.includes("\n") ? (JSON.parse(peer.stdout) as { port: number; metrics?: { port: number } }) : undefined), peer);
  return { peer, url: `ws://127.0.0.1:${told.port}/`, metrics: `http://127.0.0.1:${told.metrics?.port ?? 0}/metrics` };
}

/** A client of our own, which sends what no client of escapement would. */
async function connected(url: string, { protocol = SUBPROTOCOL, origin }: { protocol?: string; origin?: string } = {}): Promise<WebSocket> {
  const socket = new WebSocket(url, protocol === "" ? [] : [protocol], origin === undefined ? {} : { origin });
  await new Promise<void>((resolve, reject) => socket.once("open", () => resolve()).once("unexpected-response", (_, { statusCode }) => reject(new Error(`status ${statusCode}`))).on("error", reject));
  return socket;
}

const nextOf = (socket: WebSocket) => new Promise<Buffer>((resolve) => socket.once("message", resolve));
const closeOf = (socket: WebSocket) => new Promise<number>((resolve) => socket.once("close", resolve));
const REQUEST = Uint8Array.of(0x23, ...new Uint8Array(39), 1, 2, 3, 4, 5, 6, 7, 8);

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
    let metrics: string;
    beforeAll(async () => {
      ({ peer, url, metrics } = await startedRelay(runtime, [...targets(), "--stratum", "3", "--root-dispersion", "0.05", "--rate", "50", "--origin", ORIGIN, "--metrics", "127.0.0.1:0"]));
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
      const before = Date.now() / 1000;
      const response = await fetch(`${url.replace("ws:", "http:")}?1700000000.125`, { headers: { origin: ORIGIN } });
      const { it: asked, st, bound } = (await response.json()) as { it: number; st: number; bound: number };
      expect({ asked, bound: bound >= 0.05, cors: response.headers.get("access-control-allow-origin") }).toEqual({ asked: 1700000000.125, bound: true, cors: ORIGIN });
      expect(st).toBeGreaterThan(before - 0.1);
      expect(st).toBeLessThan(Date.now() / 1000 + 0.1);
    });

    it("tells the time by WebSocket: JSON, 48 octets, and a TIME frame", async () => {
      const plain = await connected(url, { protocol: "" });
      const json = nextOf(plain);
      plain.send("12.5");
      expect(JSON.parse(String(await json))).toMatchObject({ it: 12.5, leap: 36, next: 1483228800, step: 1 });
      const packet = nextOf(plain);
      plain.send(REQUEST);
      expect([...(await packet).subarray(0, 2), ...(await packet).subarray(24, 32)]).toEqual([0x24, 3, 1, 2, 3, 4, 5, 6, 7, 8]);
      plain.close();
      const framed = await connected(url);
      const told = nextOf(framed);
      framed.send(writeFrame({ type: "time", id: 9, payload: REQUEST }));
      expect(readFrame(new Uint8Array(await told))).toMatchObject({ type: "timed", id: 9 });
      framed.close();
    });

    it("lets no page of another origin in, by WebSocket or by HTTP", async () => {
      await expect(connected(url, { origin: "https://evil.example" })).rejects.toThrow("403");
      (await connected(url, { origin: ORIGIN })).close();
      expect((await fetch(url.replace("ws:", "http:"), { headers: { origin: "https://evil.example" } })).status).toBe(403);
    });

    it("carries nothing that is no request for the time, and ends what it cannot read or what is too long", async () => {
      const socket = await connected(url);
      const told = nextOf(socket);
      const payload = Uint8Array.of(0x16, ...new Uint8Array(47));
      socket.send(writeFrame({ type: "datagram", id: 1, host: server.address, port: server.port, payload }));
      expect(readFrame(new Uint8Array(await told))).toMatchObject({ type: "error", id: 1, code: RELAY_ERROR.payload });
      const unreadable = closeOf(socket);
      socket.send(Uint8Array.of(1, 2, 3));
      expect(await unreadable).toBe(1002);
      const long = await connected(url);
      const tooLong = closeOf(long);
      long.send(new Uint8Array(LONGEST_FRAME + 1));
      // A runtime's own limit may end it without a word.
      expect([1009, 1006]).toContain(await tooLong);
    });

    it("answers no more than its tokens", async () => {
      const socket = await connected(url);
      const codes: (number | undefined)[] = [];
      const COUNT = 1200;
      const begun = performance.now();
      const done = new Promise<void>((resolve) => socket.on("message", (data: Buffer) => {
        const frame = readFrame(new Uint8Array(data));
        if (codes.push(frame?.type === "error" ? frame.code : undefined) === COUNT) resolve();
      }));
      for (let id = 1; id <= COUNT; id++) socket.send(writeFrame({ type: "time", id, payload: REQUEST }));
      await done;
      const seconds = (performance.now() - begun) / 1000;
      const answered = codes.filter((code) => code === undefined).length;
      // 200 at once, and 50 a second.
      expect(answered).toBeGreaterThan(100);
      expect(answered).toBeLessThanOrEqual(200 + 50 * seconds + 1);
      expect(codes.filter((code) => code === RELAY_ERROR.limit)).toHaveLength(COUNT - answered);
      expect(answered).toBeLessThan(COUNT);
      socket.close();
    });

    it("tells its counters to monitoring systems", async () => {
      const text = await (await fetch(metrics)).text();
      expect(text).toMatch(/^escapement_relay_replies_total 2$/m);
      expect(text).toMatch(/^escapement_relay_limited_total [1-9]\d+$/m);
      expect(text).toMatch(/^escapement_relay_unfit_total 1$/m);
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
