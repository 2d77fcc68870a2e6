// SPDX-License-Identifier: MIT OR Apache-2.0
/** Malfeasance: the RFC's own report, contradictions by their definition, reports that prove nothing, and sending. @module */

import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { inVirtualTime } from "../../../tests/support/fake-host.ts";
import { contradictions, judgeReport, reportBackoff, sendReport, type MalfeasanceReport } from "./report.ts";

const vector = () => JSON.parse(readFileSync(new URL("../../../tests/vectors/roughtime-rfc10049-appendix-b.json", import.meta.url), "utf8")) as { responses: MalfeasanceReport["responses"][number][] };
const says = (midpoint: number, radius: number) => ({ midpoint: BigInt(midpoint), radius });

describe("the report of RFC 10049 appendix B", () => {
  it("proves that the first server contradicts the second and the third", () => {
    expect(judgeReport(vector())).toMatchObject({ problems: [], contradictions: [[0, 1], [0, 2]] });
  });

  it("proves nothing once the order, a rand or a response was changed, or one is left out", () => {
    const [first, second, third] = vector().responses as [MalfeasanceReport["responses"][0], MalfeasanceReport["responses"][0], MalfeasanceReport["responses"][0]];
    const { rand: _, ...unbound } = second;
    const forged: [MalfeasanceReport["responses"][number][], RegExp][] = [
      [[second, first, third], /not bound/],
      [[first, third], /not bound/],
      [[first, unbound], /not bound/],
      [[first, { ...second, rand: third.rand! }], /not bound/],
      [[first, { ...second, rand: "AAAA" }], /not bound/],
      [[first, { ...second, publicKey: first.publicKey }], /long-term key/],
      [[first, { ...second, response: first.response }], /nonce/],
      [[{ ...first, response: "" }, second], /malformed/],
      [[{ ...first, response: "%" }, second], /expected base64/],
      [[second, third], /no two answers contradict/],
      [[first], /no two answers contradict/],
      [[], /no two answers contradict/],
    ];
    for (const [responses, why] of forged) {
      const { problems, contradictions } = judgeReport({ responses });
      expect(problems.join("; ")).toMatch(why);
      expect(contradictions).toEqual([]);
    }
  });

  it("that is none is judged, not tripped over", () => {
    for (const wrong of [null, undefined, {}, { responses: 5 }, { responses: [{}] }, { responses: [{ request: 5, response: null }] }]) {
      expect(judgeReport(wrong as unknown as MalfeasanceReport).problems).not.toEqual([]);
    }
  });
});

describe("answers contradict each other", () => {
  it("when the later one's latest is before the earlier one's earliest, and only then", () => {
    expect(contradictions([says(100, 3), says(94, 3)])).toEqual([]);
    expect(contradictions([says(100, 3), says(93, 3)])).toEqual([[0, 1]]);
    expect(contradictions([says(100, 3), says(1000, 1)])).toEqual([]);
    expect(contradictions([says(1000, 1), says(100, 3), says(101, 3), says(1000, 1)])).toEqual([[0, 1], [0, 2]]);
  });

  it("for times of any size", () => {
    expect(contradictions([{ midpoint: 2n ** 64n - 1n, radius: 1 }, { midpoint: 0n, radius: 2 ** 32 - 1 }])).toEqual([[0, 1]]);
    expect(contradictions([{ midpoint: 0n, radius: 5 }, { midpoint: 0n, radius: 5 }])).toEqual([]);
  });
});

describe("sending a report", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const URL_ = "https://reports.example/roughtime";
  type Sent = [url: string, init: RequestInit];
  const replying = (...statuses: (number | Error)[]) => {
    const sent: Sent[] = [];
    const fetch = (async (url: string, init: RequestInit) => {
      sent.push([url, init]);
      const status = statuses.shift() ?? 200;
      if (status instanceof Error) throw status;
      return { ok: status < 300, status };
    }) as unknown as typeof globalThis.fetch;
    return { sent, fetch };
  };

  it("posts it with its media type", async () => {
    const { sent, fetch } = replying(201);
    await sendReport(URL_, vector(), { fetch });
    expect(sent).toMatchObject([[URL_, { method: "POST", headers: { "content-type": "application/roughtime-malfeasance+json" } }]]);
    expect(JSON.parse(String(sent[0]![1].body))).toEqual(vector());
  });

  it("backs off by 10 s, 15 s, … and gives up", async () => {
    const { sent, fetch } = replying(503, new Error("no route"), 500);
    const { error, ms } = await inVirtualTime(() => sendReport(URL_, vector(), { fetch }));
    expect([sent.length, ms]).toEqual([3, 25_000]);
    expect(error).toMatchObject({ code: "UNREACHABLE", message: expect.stringContaining("status 500") });
    expect([1, 2, 3, 50].map(reportBackoff)).toEqual([10, 15, 22.5, 86400]);
  });

  it("ends at its caller's signal, in the midst of a wait", async () => {
    const { sent, fetch } = replying(503, 503, 503);
    const abort = new AbortController();
    const aware = (async (url: string, init: RequestInit) => {
      if (abort.signal.aborted) throw new Error("aborted");
      return fetch(url, init);
    }) as typeof globalThis.fetch;
    setTimeout(() => abort.abort(), 2000);
    const { error, ms } = await inVirtualTime(() => sendReport(URL_, vector(), { fetch: aware, signal: abort.signal }));
    expect(error).toMatchObject({ code: "ABORTED" });
    expect([sent.length, ms]).toEqual([1, 2000]);
  });

  it("never happens without TLS, nor for a report that proves nothing", async () => {
    const { sent, fetch } = replying();
    await expect(sendReport("http://reports.example/", vector(), { fetch })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(sendReport(URL_, { responses: vector().responses.slice(1) }, { fetch })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(sent).toEqual([]);
  });
});
