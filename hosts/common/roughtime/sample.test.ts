// SPDX-License-Identifier: MIT OR Apache-2.0
/** A Roughtime answer as a sample: its numbers by hand, beside NTP's in a survey, and as a source is written. @module */

import { afterAll, describe, expect, it } from "vitest";
import { ownServer, tcpHost } from "../../../tests/support/roughtime.ts";
import { parseSource } from "../client/source.ts";
import { query } from "../client/query.ts";
import { survey } from "../client/survey.ts";
import { serve } from "../server/serve.ts";
import type { RoughtimeExchange } from "./attempt.ts";
import { base64, sourceText } from "./list.ts";
import { sampleOf } from "./sample.ts";

const host = await tcpHost();
const own = await ownServer(host);
const ahead = await ownServer(host, { ahead: 100 });
afterAll(() => Promise.all([own[Symbol.asyncDispose](), ahead[Symbol.asyncDispose]()]));

const S = 1_000_000_000n;
function exchange(midpoint: bigint, sentNs: bigint, receivedNs: bigint, radius = 3): RoughtimeExchange {
  const answer = { midpoint, radius, version: 1, notBefore: 0n, notAfter: 2n ** 40n, versions: [1], index: 0, height: 0 };
  return { answer, sentNs, receivedNs, stamps: { t1: "kernel", t4: "user" }, endpoint: { address: "192.0.2.1", port: 2002 }, transport: "udp" } as unknown as RoughtimeExchange;
}

describe("a sample", () => {
  it("has the offset from the middle of the exchange, and radius, half the trip and half a second as its bound", () => {
    const sample = sampleOf("x", exchange(1000n, 990n * S, 991n * S), 1e-6);
    expect(sample.offset).toBeCloseTo(9.5, 9);
    expect(sample.delay).toBeCloseTo(1, 9);
    // 15 ppm of the exchange, and this clock's precision.
    expect(sample.rootDistance).toBeCloseTo(3 + 0.5 + 0.5 + 15e-6 + 1e-6, 6);
    expect(sample).toMatchObject({ authenticated: true, usable: true, version: 1, offsetNs: 9_500_000_000n, timestamps: { t1: "kernel", t4: "user" } });
    expect(sample.toJSON()).toMatchObject({ roughtime: { midpoint: 1000, radius: 3, transport: "udp" }, t2: "1000000000000", problems: [] });
  });

  it("of a midpoint beyond all reason stays beyond it, and does not come round", () => {
    const { offset, offsetNs } = sampleOf("x", exchange(2n ** 64n - 1n, 0n, 0n), 1e-6);
    expect(offset).toBeGreaterThan(2e9);
    expect(offsetNs).toBe(2n ** 63n - 1n);
  });
});

describe("a query", () => {
  it("of a roughtime: source is authenticated, and the truth is within its bound", async () => {
    const sample = await query(host, sourceText(own.entry));
    expect(sample).toMatchObject({ authenticated: true, version: 1, roughtime: { radius: 3, transport: "udp" } });
    expect(Math.abs(sample.offset)).toBeLessThanOrEqual(sample.rootDistance);
  });

  it("finds a clock that is wrong", async () => {
    const sample = await query(host, sourceText(ahead.entry));
    expect(Math.abs(sample.offset - 100)).toBeLessThanOrEqual(sample.rootDistance);
  });

  it("under another key is a TIMEOUT, not a time", async () => {
    await expect(query(host, `roughtime:127.0.0.1:${own.port}#${base64(ahead.key.publicKey)}`, { timeout: 0.4 })).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  it("stands beside NTP in a survey, and unmasks it when it lies", async () => {
    await using ntp = await serve(host, { listen: ["127.0.0.1"], port: 0, stratum: 1, clock: () => host.clock.now() + 60n * S });
    const { entries, consensus } = await survey(host, [sourceText(own.entry), `127.0.0.1:${ntp.addresses[0]!.port}`], { quorum: 2 });
    expect(consensus).toBeUndefined();
    expect(entries.map(({ verdict }) => verdict)).toEqual(["undecided", "undecided"]);
    await using right = await serve(host, { listen: ["127.0.0.1"], port: 0, stratum: 1 });
    const three = await survey(host, [sourceText(own.entry), `127.0.0.1:${ntp.addresses[0]!.port}`, `127.0.0.1:${right.addresses[0]!.port}`]);
    expect(three.entries.map(({ verdict }) => verdict)).toEqual(["survivor", "falseticker", "survivor"]);
  });
});

describe("a roughtime: source", () => {
  const key = base64(new Uint8Array(32).fill(255));
  const publicKey = new Uint8Array(32).fill(255);
  it.each([
    [`roughtime:time.example.org#${key}`, "time.example.org", 2002],
    [`roughtime:time.example.org:4123#${key}`, "time.example.org", 4123],
    [`roughtime://192.0.2.1:1/#${key}`, "192.0.2.1", 1],
    [`ROUGHTIME:[2001:db8::1]:2003#${key.slice(0, -1)}`, "2001:db8::1", 2003],
    [`roughtime:::1#${key.replaceAll("/", "_")}`, "::1", 2002],
  ])("written %j is read", (text, name, port) => {
    expect(parseSource(text, { roughtime: true })).toEqual({ text, scheme: "roughtime", host: name, port, publicKey });
    expect(parseSource(new URL(text.replace("ROUGHTIME", "roughtime")), { roughtime: true })).toMatchObject({ host: name, port });
  });

  it.each(["roughtime:host", "roughtime:host#", "roughtime:host#AAAA", `roughtime:#${key}`, `roughtime:host:0#${key}`, `roughtime:host#${key}A`, `roughtime:host/p#${key}`, `roughtime:a b#${key}`])("written %j is refused by a message that shows what would do", (text) => {
    expect(() => parseSource(text, { roughtime: true })).toThrow(/expected "roughtime:HOST\[:PORT\]#KEY"/);
  });

  it("is not spoken by a disciplined clock, and says so", () => {
    expect(() => parseSource(`roughtime:host#${key}`)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });
});
