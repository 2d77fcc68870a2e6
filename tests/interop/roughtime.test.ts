// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Roughtime against a client, a server and a judge that were written from the RFC alone (roughtime_peer.py): our server's
 * answers hold there, theirs hold here, and the proof of a lie convinces both.
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, expect, it } from "vitest";
import { askServer } from "../../hosts/common/roughtime/client.ts";
import { measure } from "../../hosts/common/roughtime/quorum.ts";
import { judgeReport, type MalfeasanceReport } from "../../hosts/common/roughtime/report.ts";
import { base64 } from "../../hosts/common/roughtime/list.ts";
import { record } from "./record.ts";
import { Peer, eventually, findProgram, titled } from "../support/peers.ts";
import { ownServer, tcpHost } from "../support/roughtime.ts";

const PEER = "tests/interop/roughtime_peer.py";
const skipped = whySkipped();
const host = await tcpHost();
const VECTOR = readFileSync(new URL("../vectors/roughtime-rfc10049-appendix-b.json", import.meta.url), "utf8");

function whySkipped(): string | undefined {
  try {
    execFileSync(findProgram("python3") ?? "python3", ["-c", "import cryptography"], { stdio: "ignore" });
    return undefined;
  } catch {
    const reason = "skipped: python3-cryptography not installed (npm run peers)";
    if (process.env["REQUIRE_PEERS"] === "1") throw new Error(`REQUIRE_PEERS=1, but ${reason}`);
    console.warn(reason.toUpperCase());
    return reason;
  }
}

interface Asked {
  readonly answers: { midpoint: number; radius: number; version: number; versions: number[]; index: number; height: number; octets: number }[];
  readonly errors: string[];
}

/** Ask a server of ours with theirs. */
async function theyAsk(port: number, key: Uint8Array, ...options: string[]): Promise<Asked> {
  const peer = new Peer("python3", [PEER, "ask", "127.0.0.1", String(port), base64(key), ...options]);
  const { stdout, stderr } = await peer.ended;
  expect(stderr).toBe("");
  return JSON.parse(stdout) as Asked;
}

interface Theirs extends AsyncDisposable {
  readonly entry: Parameters<typeof askServer>[1];
}

async function theyServe(name: string, ...options: string[]): Promise<Theirs> {
  const peer = new Peer("python3", [PEER, "serve", ...options]);
  const { port, publicKey } = JSON.parse(await eventually(`${name} to listen`, () => (peer.stdout.includes("\n") ? peer.stdout : undefined), peer)) as { port: number; publicKey: string };
  const at = (protocol: "udp" | "tcp") => ({ protocol, host: "127.0.0.1", port });
  const entry = { name, publicKey: new Uint8Array(Buffer.from(publicKey, "base64")), addresses: [at("udp"), at("tcp")] };
  return { entry, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

function theyJudge(report: unknown): { contradictions?: number[][]; invalid?: string } {
  return JSON.parse(execFileSync(findProgram("python3")!, [PEER, "judge"], { input: JSON.stringify(report), encoding: "utf8" }));
}

describe.skipIf(skipped !== undefined)(titled("our Roughtime server, judged by others", skipped), () => {
  it.each([
    ["version 1", ["--versions", "1"], 1],
    ["version 1 rather than the drafts'", ["--versions", "1,0x8000000c"], 1],
    ["the drafts' version", ["--versions", "0x8000000c"], 0x8000000c],
    ["the drafts' version without TYPE, as drafts 12 and 13", ["--versions", "0x8000000c", "--no-type"], 0x8000000c],
    ["version 1 among versions it does not know", ["--versions", "1,7,0x90000000"], 1],
    ["who does not say which server is meant", ["--no-srv"], 1],
  ])("answers %s", async (_, options, version) => {
    await using own = await ownServer(host);
    for (const transport of [[], ["--tcp"]]) {
      const { answers, errors } = await theyAsk(own.port, own.key.publicKey, ...options, ...transport);
      expect(errors).toEqual([]);
      expect(answers).toMatchObject([{ version, versions: [1, 0x8000000c], radius: 3, index: 0, height: 0 }]);
      expect(Math.abs(answers[0]!.midpoint - Date.now() / 1000)).toBeLessThan(3);
    }
    record("python3", "client", `\`serveRoughtime\` asked over UDP and TCP: ${_}`, "signatures, path and nonce hold, radius 3");
  });

  it.each([
    ["of a message shorter than 1024 octets", ["--size", "1020"]],
    ["in version 1 without TYPE", ["--versions", "1", "--no-type"]],
    ["in versions it does not speak", ["--versions", "2,0x8000000b"]],
  ])("is silent to a request %s", async (_, options) => {
    await using own = await ownServer(host);
    expect(await theyAsk(own.port, own.key.publicKey, ...options, "--timeout", "0.5")).toMatchObject({ answers: [], errors: [] });
    await eventually("it to have been read", () => own.server.stats.received === 1 || undefined);
    expect(own.server.stats).toMatchObject({ received: 1, answered: 0, dropped: 1 });
  });

  it("is silent to a request for another server", async () => {
    await using own = await ownServer(host);
    expect(await theyAsk(own.port, new Uint8Array(32).fill(9), "--timeout", "0.5")).toMatchObject({ answers: [] });
  });

  it("answers 64 requests with far fewer signatures, every path leading to its root, over UDP and TCP", async () => {
    for (const transport of [[], ["--tcp"]]) {
      await using own = await ownServer(host, { gather: 100 });
      const { answers, errors } = await theyAsk(own.port, own.key.publicKey, "--count", "64", ...transport);
      expect([answers.length, errors]).toEqual([64, []]);
      expect(Math.max(...answers.map(({ height }) => height))).toBeGreaterThanOrEqual(4);
      expect(own.server.stats.signatures).toBeLessThan(16);
      expect(Math.max(...answers.map(({ octets }) => octets))).toBeLessThanOrEqual(1036);
    }
    record("python3", "client", "`serveRoughtime` asked 64 times at once", "64 answers, every path leads to its root");
  });

  it("greases: their client takes what is valid and refuses the rest, and no greased answer tells a wrong time validly", async () => {
    await using own = await ownServer(host, { grease: 0.5 });
    const { answers, errors } = await theyAsk(own.port, own.key.publicKey, "--count", "200", "--tcp");
    expect(own.server.stats.greased).toBeGreaterThan(50);
    expect(errors.length).toBeGreaterThan(20);
    // What lacks its NONC cannot be matched to a request, and counts as an error, too.
    expect(answers.length + errors.length).toBe(200);
    expect(answers.every(({ midpoint }) => Math.abs(midpoint - Date.now() / 1000) < 10)).toBe(true);
  });
});

describe.skipIf(skipped !== undefined)(titled("others' Roughtime servers, judged by us", skipped), () => {
  it.each([
    ["version 1", [], { version: 1, height: 0 }],
    ["version 1 in a tree of half a million requests", ["--height", "19"], { version: 1, height: 19 }],
    ["the drafts' version", ["--version", "0x8000000c"], { version: 0x8000000c, height: 0 }],
    ["the drafts' version without TYPE", ["--version", "0x8000000c", "--no-type", "--height", "3"], { version: 0x8000000c, height: 3 }],
  ])("hold in %s, over UDP and TCP", async (name, options, expected) => {
    await using theirs = await theyServe(name, ...options);
    for (const protocol of ["udp", "tcp"] as const) {
      const addresses = theirs.entry.addresses.filter((address) => address.protocol === protocol);
      const { answer, transport } = await askServer(host, { ...theirs.entry, addresses });
      expect({ ...answer, transport }).toMatchObject({ ...expected, transport: protocol, radius: 3 });
    }
    record("python3", "server", `asked by \`askServer\` over UDP and TCP: ${name}`, "its answers are taken");
  });

  it("are asked by TCP when UDP stays silent", async () => {
    await using theirs = await theyServe("TCP only", "--tcp-only");
    const { transport } = await askServer(host, theirs.entry);
    expect(transport).toBe("tcp");
  });

  it("are refused when version 1 comes without TYPE", async () => {
    await using theirs = await theyServe("untyped", "--no-type");
    await expect(askServer(host, theirs.entry, { timeout: 1.5 })).rejects.toMatchObject({ code: "TIMEOUT", message: expect.stringContaining("missing or has a wrong length: TYPE") });
  });
});

describe.skipIf(skipped !== undefined)(titled("a lie", skipped), () => {
  it("of one server among three is proven to others by our report", async () => {
    await using honest = await ownServer(host, { name: "honest" });
    await using liar = await ownServer(host, { name: "liar", ahead: 3600 });
    await using theirs = await theyServe("theirs");
    const { report, contradictions, exchanges } = await measure(host, [honest.entry, liar.entry, theirs.entry]);
    expect(exchanges).toHaveLength(6);
    expect(contradictions.length).toBeGreaterThan(0);
    expect(judgeReport(report!)).toMatchObject({ problems: [], contradictions });
    expect(theyJudge(report)).toMatchObject({ contradictions });
    record("python3", "observer", "malfeasance report of `measure` on one liar among three", "the same contradictions, nothing invalid");
  });

  it("cannot be made up: a report that was changed convinces nobody", async () => {
    const report = JSON.parse(VECTOR) as MalfeasanceReport;
    expect(theyJudge(report).contradictions).toEqual([[0, 1], [0, 2]]);
    const [first, second, third] = report.responses as [MalfeasanceReport["responses"][0], MalfeasanceReport["responses"][0], MalfeasanceReport["responses"][0]];
    for (const responses of [[second, first], [first, third], [first, { ...second, rand: third.rand! }]]) {
      expect(theyJudge({ responses }).invalid).toBeDefined();
      expect(judgeReport({ responses }).problems).not.toEqual([]);
    }
  });
});
