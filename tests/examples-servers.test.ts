// SPDX-License-Identifier: MIT OR Apache-2.0
/** The programs of examples/ that serve, peer, broadcast, limit or use NTS, run from what is built. */

import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lendHost, serve, type Server } from "../hosts/node/index.ts";
import { built, output, PLENTY_S, run, SECONDS, SURE, type Finished } from "./support/example.ts";
import { freePort, freshDirectory, loopbackAlias } from "./support/peers.ts";
import { issue, makeCa } from "./support/pki.ts";

let server: Server;
let good: string;
beforeAll(async () => {
  server = await serve({ port: 0, stratum: 1, refid: "PPS" });
  good = `127.0.0.1:${server.addresses[0]!.port}`;
});
afterAll(() => server?.close());

describe.skipIf(!built).concurrent("examples of servers", () => {
  it("nts-server gives keys, and nts-client believes it by them alone", async () => {
    const folder = freshDirectory();
    const at = (name: string) => path.join(folder, name);
    const ca = makeCa();
    const { certificate, key } = issue(ca, { ips: ["127.0.0.1"] });
    for (const [name, text] of [["ca.pem", ca.certificate], ["chain.pem", certificate], ["key.pem", key], ["other.pem", makeCa().certificate]] as const) writeFileSync(at(name), text);
    const told: Finished[] = [];
    let asked = false;
    const ask = async (port: string, stop: () => void) => {
      for (const trusted of ["ca.pem", "other.pem"]) told.push(await run("examples/nts-client.mjs", [`127.0.0.1:${port}`, at(trusted)]));
      stop();
    };
    const { status, stdout, stderr } = await run("examples/nts-server.mjs", [at("chain.pem"), at("key.pem"), "0", "0"], (text, stop) => {
      const port = /on 0\.0\.0\.0 port (\d+)/.exec(text)?.[1];
      if (port === undefined || asked) return;
      asked = true;
      void ask(port, stop);
    });
    rmSync(folder, { recursive: true, force: true });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("1 clients were given keys, 1 of 1 answers were authenticated");
    expect(told[0]).toMatchObject({ status: 0, stdout: expect.stringMatching(new RegExp(`^offset ${SECONDS} s ± ${SECONDS} s, authenticated\n$`)) as string });
    expect(told[1]).toMatchObject({ status: 1, stdout: "" });
  });

  it("nts-continuous follows two servers by keys of its own with each, and says why one is not believed", async () => {
    const ca = makeCa();
    const folder = freshDirectory();
    const file = path.join(folder, "ca.pem");
    writeFileSync(file, ca.certificate);
    const { certificate, key } = issue(ca, { ips: ["127.0.0.1"] });
    const strange = issue(makeCa(), { ips: ["127.0.0.1"] });
    const servers = await Promise.all([{ certificate, key }, { certificate, key }, strange].map((pair) => serve({ ...SURE, nts: { ...pair, listen: ["127.0.0.1"], port: 0 } })));
    const [one, other, stranger] = servers.map(({ nts }) => `127.0.0.1:${nts!.addresses[0]!.port}`);
    const followed = new RegExp(`^± ${SECONDS} s: nts:${one} survivor, \\d+ answers, 8 cookies; nts:${other} survivor, \\d+ answers, 8 cookies; nts:${stranger} .*certificate`, "m");
    const { stdout, stderr } = await run("examples/nts-continuous.mjs", ["--ca", file, one!, other!, stranger!], (told, stop) => followed.test(told) && stop(), { seconds: PLENTY_S });
    rmSync(folder, { recursive: true, force: true });
    expect(stderr).toBe("");
    expect(stdout).toMatch(followed);
    await Promise.all(servers.map((server) => server.close()));
    expect(servers[2]!.counters.received).toBe(0);
  });

  it("nts-continuous and multi-peer without servers are wrong usage", async () => {
    for (const name of ["nts-continuous", "multi-peer"]) expect(await run(`examples/${name}.mjs`)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(/^usage: /) as string });
  });

  it("nts-client has status 2 without a server", async () => {
    expect(await run("examples/nts-client.mjs")).toMatchObject({ status: 2, stdout: "" });
  });

  it("rate-limiter grants three, then says so once, then is silent", async () => {
    expect(await output("rate-limiter")).toBe([
      ...[1, 2, 3].map((i) => `request ${i}: the time`),
      "request 4: a kiss RATE: not more often than every 16 s",
      "request 5: TIMEOUT",
      "127.0.0.1 asked 5 times, 2 of them in vain",
      "4 answers, 1 of them a kiss; 1 met silence\n",
    ].join("\n"));
  });

  it("ntpv5 asks a server of its own, and tells what that tells beside the time", async () => {
    const told = await output("ntpv5");
    expect(told).toMatch(new RegExp(`^version 5: offset ${SECONDS} s ± ${SECONDS} s\nthe server speaks versions 1, 2, 3, 4, 5\ntai is 37 s ahead of UTC\n$`));
    // Nothing is told that the server was not told itself.
    expect(await output("ntpv5", good)).toMatch(/5\n$/);
  });

  it("ntpv5 has status 1 where nobody answers", async () => {
    expect(await run("examples/ntpv5.mjs", [`127.0.0.1:${await freePort("127.0.0.1")}`])).toMatchObject({ status: 1, stdout: "", stderr: expect.stringMatching(/^UNREACHABLE: /) as string });
  });

  it("socket-options binds to an interface and asks over one family, or says what cannot be had", async () => {
    expect(await output("socket-options")).toMatch(new RegExp(`^(UNSUPPORTED: .+\n)?answering on 127.0.0.1 port \\d+\nasked over IPv4, stamped by the (kernel|user) and the (kernel|user): delay ${SECONDS} s\n$`));
    expect(await output("socket-options", "nonexistent0")).toMatch(/^[A-Z]+: .*\nanswering on 127\.0\.0\.1 /);
  });

  it("discipline shows what either algorithm makes of the same source", async () => {
    const estimated = new RegExp(`^estimator: synchronised, ${SECONDS} s to go, frequency ${SECONDS} ± ${SECONDS} ppm, ± ${SECONDS} s, poll 64 s$`, "m");
    const looped = new RegExp(`^pll-fll: (not synchronised yet|\\w+, ${SECONDS} s to go, frequency ${SECONDS} ± 0\\.000 ppm, .*)$`, "m");
    const { stdout, stderr } = await run("examples/discipline.mjs", [good], (told, stop) => estimated.test(told) && looped.test(told) && stop(), { seconds: PLENTY_S });
    expect(stderr).toBe("");
    expect(stdout).toMatch(estimated);
    expect(stdout).toMatch(looped);
  });

  it("symmetric: a host that knows the time leads one that knows nothing", async () => {
    const [one, other] = await Promise.all([freePort("0.0.0.0"), freePort("0.0.0.0")]);
    // At an address that neither of them has: who follows 127.0.0.1 would seem to follow the other.
    await using known = await serve({ ...SURE, listen: [loopbackAlias()] });
    const [{ address, port }] = known.addresses as [Server["addresses"][number]];
    const server = `${address}:${port}`;
    const environment = { POLL: "0" };
    let stopLeader = () => {};
    const leader = run("examples/symmetric.mjs", [`127.0.0.1:${other}`, String(one), server], (_, stop) => (stopLeader = stop), { seconds: PLENTY_S, environment });
    const { stdout, stderr } = await run("examples/symmetric.mjs", [`127.0.0.1:${one}`, String(other)], (told, stop) => /^stratum 3 /m.test(told) && stop(), { seconds: PLENTY_S, environment });
    stopLeader();
    expect([stderr, (await leader).stderr]).toEqual(["", ""]);
    expect(stdout).toMatch(/^stratum 3 by 127\.0\.0\.1, ± 0\.\d+ s; the peer: [1-9]\d* samples, survivor/m);
  });

  it("symmetric and broadcast without their arguments are wrong usage", async () => {
    for (const name of ["symmetric", "broadcast"]) expect(await run(`examples/${name}.mjs`)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(/^usage: /) as string });
  });

  it("broadcast is heard by who listens for that server, and asks a few times only", async () => {
    if (process.platform !== "linux") return;
    const port = String(await freePort("0.0.0.0"));
    let heard: Promise<Finished> | undefined;
    const sent = await run("examples/broadcast.mjs", ["send", "127.255.255.255", port, "1"], (told, stop) => {
      const from = /^from port (\d+)/m.exec(told)?.[1];
      const enough = (told: string) => Math.max(...[...told.matchAll(/(\d+) samples$/gm)].map(([, count]) => Number(count))) > 8;
      if (from) heard ??= run("examples/broadcast.mjs", ["listen", `127.0.0.1:${from}`, port], (told, stop) => enough(told) && stop(), { seconds: PLENTY_S }).finally(stop);
    }, { seconds: PLENTY_S });
    expect(sent.stderr).toBe("");
    const { stdout, stderr } = (await heard)!;
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^± 0\.\d+ s: asked [678] times, (9|1\d) samples$/m);
  });

  it("multi-peer serves what the majority says, a stratum below, and names who agrees", async () => {
    const host = await lendHost();
    const servers = await Promise.all([3_600_000_000_000n, 0n, 0n].map((error) => serve({ ...SURE, clock: () => host.clock.now() + error })));
    const [liar, ...honest] = servers.map(({ addresses }) => `127.0.0.1:${addresses[0]!.port}`);
    let asked: Promise<Finished> | undefined;
    const finished = await run("examples/multi-peer.mjs", ["0", liar!, ...honest], (told, stop) => {
      const port = /^answering on 0\.0\.0\.0 port (\d+)$/m.exec(told)?.[1];
      if (port && /^stratum 2 /m.test(told)) asked ??= run("examples/request.mjs", [`127.0.0.1:${port}`]).finally(stop);
    });
    expect(finished).toMatchObject({ status: 0, stderr: "" });
    expect(finished.stdout).toContain(`stratum 2 by 127.0.0.1; of 3 sources these agree: ${honest.join(", ")}\n`);
    expect(await asked).toMatchObject({ status: 0, stdout: expect.stringMatching(new RegExp(`^offset ${SECONDS} s ± ${SECONDS} s, stratum 2, refid 127\\.0\\.0\\.1\n$`)) as string });
    await Promise.all(servers.map((one) => one.close()));
  });
});
