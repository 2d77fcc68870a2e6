// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What users copy: each program of examples/, run against a real server of ours on loopback. They run what is built, as a
 * user's program would. Servers, peers and NTS: examples-servers.test.ts; reference clocks: examples-refclocks.test.ts.
 */

import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { base64 } from "../hosts/common/roughtime/list.ts";
import { judgeReport } from "../hosts/common/roughtime/report.ts";
import { lendHost, openSystemClock, serve, type Server, type UdpSocket } from "../hosts/node/index.ts";
import { built, output, PATIENCE_MS, ROOT, run, SECONDS, SURE, type Finished } from "./support/example.ts";
import { freshDirectory, hasIPv6 } from "./support/peers.ts";
import { ownServer } from "./support/roughtime.ts";

let server: Server;
/** For programs that ask several: one server under several names has one vote. */
let others: Server[] = [];
let silent: UdpSocket;
let good: string;
let closed: string;
beforeAll(async () => {
  server = await serve({ port: 0, stratum: 1, refid: "PPS" });
  const { port } = server.addresses[0]!;
  good = `127.0.0.1:${port}`;
  others = await Promise.all(Array.from({ length: 5 }, () => serve({ listen: ["127.0.0.1"], port: 0, stratum: 1 })));
  const gone = await serve({ listen: ["127.0.0.1"], port: 0 });
  closed = `127.0.0.1:${gone.addresses[0]!.port}`;
  await gone.close();
  const host = await lendHost();
  silent = await host.openUdp!({ family: 4, address: "127.0.0.1" }, { onDatagram: () => {}, onError: () => {} });
});
afterAll(async () => {
  silent?.close();
  await Promise.all([server, ...others].map((one) => one?.close()));
});

/** A server list of three on loopback, the first with its clock so many seconds ahead. */
async function roughtimeList(ahead = 0) {
  const host = await lendHost();
  const own = await Promise.all([ahead, 0, 0].map((ahead, i) => ownServer(host, { ahead, name: `server ${i}` })));
  const servers = own.map(({ entry: { name, publicKey, addresses } }) => ({
    name, version: 1, publicKeyType: "ed25519", publicKey: base64(publicKey), addresses: addresses.map(({ protocol, host, port }) => ({ protocol, address: `${host}:${port}` })),
  }));
  const folder = freshDirectory();
  writeFileSync(path.join(folder, "list.json"), JSON.stringify({ servers }));
  const close = async () => {
    rmSync(folder, { recursive: true, force: true });
    await Promise.all(own.map((one) => one[Symbol.asyncDispose]()));
  };
  return { host, list: path.join(folder, "list.json"), close };
}

describe.skipIf(!built).concurrent("examples", () => {
  it("are all tested here, and say what they show and how to run them", () => {
    const suites = readdirSync(path.join(ROOT, "tests")).filter((name) => /^examples.*\.test\.ts$/.test(name));
    const tests = suites.map((name) => readFileSync(path.join(ROOT, "tests", name), "utf8")).join("");
    for (const file of readdirSync(path.join(ROOT, "examples")).filter((name) => name.endsWith(".mjs"))) {
      const name = path.basename(file, ".mjs");
      expect(tests, "a test").toContain(`it("${name} `);
      const head = readFileSync(path.join(ROOT, "examples", file), "utf8").slice(0, 700);
      expect(head).toContain(` *     node examples/${file}`);
      expect(head).toMatch(/^\/\/ SPDX-License-Identifier: .*\n\/\*\*\n \* [A-Z]/);
    }
  });

  it("request prints offset and bound", async () => {
    const told = await output("request", good);
    expect(told).toMatch(new RegExp(`^offset ${SECONDS} s ± ${SECONDS} s, stratum 1, refid PPS\n$`));
  });

  it("request has status 1 and says why when nobody listens", async () => {
    const { status, stdout, stderr } = await run("examples/request.mjs", [closed]);
    expect([status, stdout, stderr]).toEqual([1, "", expect.stringMatching(/^UNREACHABLE: /)]);
  });

  it("request has status 1 and says why when the server is not synchronised", async () => {
    await using unsynchronised = await serve({ listen: ["127.0.0.1"], port: 0 });
    const { status, stderr } = await run("examples/request.mjs", [`127.0.0.1:${unsynchronised.addresses[0]!.port}`]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^test6: /)]);
  });

  it("timeout tells a timeout from an abort", async () => {
    const { address, port } = silent.local;
    const told = await output("timeout", `${address}:${port}`);
    expect(told).toMatch(/^timeout: TIMEOUT after (?:0\.[5-9]|[1-9]\.\d) s: no answer/);
    expect(told).toMatch(/^signal: ABORTED after (?:0\.[3-9]|[1-9]\.\d) s: /m);
  });

  it("several-servers finds the majority and names the liar", async () => {
    const host = await lendHost();
    const errors = [500_000_000n, 0n, 0n];
    const servers = await Promise.all(errors.map((error) => serve({ ...SURE, clock: () => host.clock.now() + error })));
    const sources = servers.map(({ addresses }) => `127.0.0.1:${addresses[0]!.port}`);
    const told = await output("several-servers", good, ...sources, closed);
    expect(told).toContain(`${sources[0]}: falseticker, `);
    expect(told).toContain(`${closed}: silent, UNREACHABLE\n`);
    expect(told).toMatch(new RegExp(`\n3 agree: offset ${SECONDS} s ± ${SECONDS} s\n$`));
    await Promise.all(servers.map((one) => one.close()));
  });

  it("several-servers has status 1 without a majority", async () => {
    const { status, stdout } = await run("examples/several-servers.mjs", [closed]);
    expect([status, stdout]).toEqual([1, expect.stringContaining("no majority")]);
  });

  it("packet-details shows request and reply, whose origin is the request's transmit time stamp", async () => {
    const told = await output("packet-details", "127.0.0.1", good.split(":")[1]!);
    expect(told).toMatch(/mode +3 \(client\)[^]*mode +4 \(server\)[^]*PPS/);
    const [request, reply] = told.split("\nreply\n");
    expect(/^origin +(\S+)/m.exec(reply!)?.[1]).toBe(/^transmit +(\S+)/m.exec(request!)?.[1]);
  });

  it("packet-details has status 1 when nothing comes", async () => {
    const { address, port } = silent.local;
    const { status, stderr } = await run("examples/packet-details.mjs", [address, String(port)]);
    expect([status, stderr]).toEqual([1, "no reply within 2 s\n"]);
  });

  it("concurrent prints each answer as it comes, and goes on when one fails", async () => {
    const told = await output("concurrent", good, good, closed);
    expect(told.match(/^after [\d.]+ ms: /gm)).toHaveLength(2);
    expect(told).toMatch(/\n2 of 3 answered\n$/);
  });

  it("concurrent without sources is wrong usage", async () => {
    const { status, stderr } = await run("examples/concurrent.mjs");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^usage: /)]);
  });

  it("continuous agrees after some seconds, and ends with its signal", async () => {
    const agreed = new RegExp(`^synchronised: ${SECONDS} s to go, ± ${SECONDS} s, frequency ${SECONDS} ppm$`, "m");
    // It agrees after six seconds; a busy machine has some more before the signal.
    const { status, stdout, stderr } = await run("examples/continuous.mjs", [good], undefined, { seconds: 20 });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(agreed);
  });

  it("clock tells the time, each reading later than the one before", async () => {
    const told = await output("clock", good);
    const readings = [...told.matchAll(/\((\d{19}) ns\)/g)].map(([, ns]) => BigInt(ns!));
    expect(readings).toHaveLength(3);
    expect(readings.every((reading, i) => i === 0 || reading > readings[i - 1]!)).toBe(true);
    expect(told).toMatch(/behind it by -?\d{1,3} ms\.\n$/);
  });

  it("server answers, and ends with its counters when told to", async () => {
    let asked: Promise<Finished> | undefined;
    const finished = await run("examples/server.mjs", ["0", "5"], (told, stop) => {
      const port = /^answering on 0\.0\.0\.0 port (\d+)$/m.exec(told)?.[1];
      if (port) asked ??= run("examples/request.mjs", [`127.0.0.1:${port}`]).finally(stop);
    });
    expect(await asked).toMatchObject({ status: 0, stdout: expect.stringContaining("stratum 5") });
    expect(finished).toMatchObject({ status: 0, stderr: "" });
    expect(finished.stdout).toMatch(/\n1 received, 1 answered, 0 dropped\n$/);
  });

  it("socket-family asks over both families", async () => {
    const told = await output("socket-family", `localhost:${good.split(":")[1]}`);
    expect(told).toMatch(new RegExp(`^IPv4: 127\\.0\\.0\\.1, offset ${SECONDS} s, delay ${SECONDS} s\n`));
    expect(told).toMatch(/\nIPv6: .+\n$/);
  });

  it("socket-family says what is missing", async () => {
    expect(await output("socket-family", good)).toMatch(/\nIPv6: DNS\n$/);
    if (!(await hasIPv6())) return;
    expect(await output("socket-family", good.replace("127.0.0.1", "[::1]"))).toMatch(/^IPv4: DNS\nIPv6: ::1, /);
  });

  it("roughtime bounds the present by what three servers signed", async () => {
    const { host, list, close } = await roughtimeList();
    const told = await output("roughtime", list);
    expect(told.match(/ ± 3 s, over udp\n/g)).toHaveLength(6);
    const [low, high] = /between (\S+) and (\S+)\n$/.exec(told)!.slice(1).map((text) => Date.parse(text)) as [number, number];
    expect(high - low).toBeLessThan(10_000);
    const now = Number(host.clock.now() / 1_000_000n);
    expect(low < now && now - PATIENCE_MS < high).toBe(true);
    await close();
  });

  it("roughtime writes the proof of a lie down, and has status 1", async () => {
    const { list, close } = await roughtimeList(3600);
    const { status, stdout } = await run(path.join(ROOT, "examples/roughtime.mjs"), [list], undefined, { cwd: path.dirname(list) });
    expect([status, stdout]).toEqual([1, expect.stringMatching(/somebody lied: the proof is in malfeasance\.json\n$/)]);
    const report = JSON.parse(readFileSync(path.join(path.dirname(list), "malfeasance.json"), "utf8")) as Parameters<typeof judgeReport>[0];
    expect(judgeReport(report).problems).toEqual([]);
    await close();
  });

  it("clock-adjust tells what the system says of its clock, and changes nothing unless it is told to", async () => {
    const host = await lendHost();
    const clock = await openSystemClock({ readOnly: true }).catch((error: { code: string }) => error.code);
    if (typeof clock === "string") {
      const { status, stderr } = await run("examples/clock-adjust.mjs");
      return expect([status, stderr]).toEqual([1, expect.stringMatching(`^${clock}: `)]);
    }
    const before = clock.status().ratePpm;
    const told = await output("clock-adjust", `--frequency=${before + 3}`, "--step=3600", "--slew=-0.01");
    expect(told).toMatch(/^rate -?\d+\.\d{3} ppm, (not )?synchronised, flags (STA_\w+ ?|none)+\n/);
    expect(told).toMatch(/\nwould set the frequency to .* ppm\nwould step by 3600 s\nwould slew by -0\.01 s, for 20 s\n$/);
    expect(clock.status().ratePpm).toBe(before);
    expect(Math.abs(Number(host.clock.now() / 1_000_000n) - Date.now())).toBeLessThan(1000);
    // With --apply it would, but for what no clock takes.
    const { status, stderr } = await run("examples/clock-adjust.mjs", ["--apply", "--frequency=501"]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^(INVALID_ARGUMENT: expected a frequency of -500 to 500 ppm|CLOCK: .*CAP_SYS_TIME)/)]);
    expect(clock.status().ratePpm).toBe(before);
    clock.close();
  });

  it("core-only gets out the offset and delay that were put in", async () => {
    const told = await output("core-only");
    expect(told).toMatch(/^imports of the core: 0\n/);
    expect(told).toMatch(/\nverdict 1, problems 0\noffset 0\.250000 s, delay 0\.020000 s\n$/);
  });
});
