// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Malfeasance (RFC 10049 §8.2, §8.4): valid answers that contradict each other, the report that proves it to anybody, the
 * judging of such reports, and sending them.
 *
 * A report is never made of invalid answers: those prove nothing. Tested in report.test.ts; tests/interop/roughtime.test.ts
 * has reports judged by a verifier that shares nothing with ours.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { same } from "../octets.ts";
import type { RoughtimeExchange } from "./attempt.ts";
import { NONCE_LENGTH, roughtimeCore } from "./core.ts";
import { base64 } from "./list.ts";
import { verifyResponse, type RoughtimeAnswer } from "./response.ts";

export const REPORT_TYPE = "application/roughtime-malfeasance+json";

/** The report, as JSON: base64 texts. */
export interface MalfeasanceReport {
  readonly responses: readonly {
    readonly rand?: string;
    readonly publicKey: string;
    readonly request: string;
    readonly response: string;
  }[];
}

/** Places of two answers, the earlier first, of which one must be wrong. */
export type Contradiction = readonly [earlier: number, later: number];

/** What is wrong in causal order: the later answer's latest time is before the earlier one's earliest (§8.2). */
export function contradictions(answers: readonly Pick<RoughtimeAnswer, "midpoint" | "radius">[]): Contradiction[] {
  const earliest = answers.map(({ midpoint, radius }) => midpoint - BigInt(radius));
  const latest = answers.map(({ midpoint, radius }) => midpoint + BigInt(radius));
  return answers.flatMap((_, i) => answers.flatMap((_, j): Contradiction[] => (i < j && earliest[i]! > latest[j]! ? [[i, j]] : [])));
}

/** The report of a chain of exchanges, in the order asked. */
export function makeReport(chain: readonly RoughtimeExchange[]): MalfeasanceReport {
  return {
    responses: chain.map(({ rand, publicKey, request, response }, i) => ({
      // The first one's nonce need not be bound to anything.
      ...(i > 0 && rand ? { rand: base64(rand) } : {}),
      publicKey: base64(publicKey),
      request: base64(request),
      response: base64(response),
    })),
  };
}

/** What a report proves. */
export interface JudgedReport {
  /** In order; undefined where a response is not valid. */
  readonly answers: readonly (RoughtimeAnswer | undefined)[];
  readonly contradictions: readonly Contradiction[];
  /** Why it proves nothing; empty when all of it holds. */
  readonly problems: readonly string[];
}

/** Judge a report: each answer, that each was asked for after the one before had come, and whether any contradict. */
export function judgeReport(report: MalfeasanceReport): JudgedReport {
  const problems: string[] = [];
  if (!Array.isArray(report?.responses)) return { answers: [], contradictions: [], problems: ["expected a list of responses"] };
  const parts = report.responses.map(({ rand, publicKey, request, response }, i) => {
    const octets = (text: unknown, what: string) => decode(text) ?? (problems.push(`responses[${i}].${what}: expected base64`), new Uint8Array(0));
    return { rand: rand === undefined ? undefined : octets(rand, "rand"), publicKey: octets(publicKey, "publicKey"), request: octets(request, "request"), response: octets(response, "response") };
  });
  const answers = parts.map(({ request, response, publicKey }, i) => {
    const { answer, why } = verifyResponse(response, request, publicKey);
    if (why !== undefined) problems.push(`responses[${i}]: ${why}`);
    return answer;
  });
  parts.forEach(({ rand, request }, i) => {
    if (i > 0 && !isBound(request, parts[i - 1]!.response, rand)) problems.push(`responses[${i}]: its nonce is not bound to the response before`);
  });
  const valid = answers.filter((answer) => answer !== undefined);
  const found = problems.length === 0 ? contradictions(valid) : [];
  if (problems.length === 0 && found.length === 0) problems.push("no two answers contradict each other");
  return { answers, contradictions: found, problems };
}

/** Whether a request's nonce is H(response || rand): found in its octets, where {@link verifyResponse} has found it well-formed. */
function isBound(request: Uint8Array, previous: Uint8Array, rand: Uint8Array | undefined): boolean {
  if (rand?.length !== NONCE_LENGTH) return false;
  const nonce = roughtimeCore().nextNonce(previous, rand);
  const asked = roughtimeCore().nonceOf(request);
  return asked !== undefined && same(nonce, asked);
}

function decode(text: unknown): Uint8Array | undefined {
  if (typeof text !== "string" || text.length > 16384) return undefined;
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

export interface SendReportOptions {
  readonly signal?: AbortSignal;
  /** Tries in all, 1..20. Default 3. */
  readonly tries?: number;
  /** How to send, for tests and for runtimes without `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** §8.4.2: seconds before the retry after n failures are min(10 · 1.5^(n-1), 86400). */
export function reportBackoff(failures: number): number {
  return Math.min(10 * 1.5 ** (failures - 1), 86400);
}

/** POST a report to a list's `reports` URL. @throws {NtpError} `UNREACHABLE` when no try was taken, `ABORTED`, `INVALID_ARGUMENT`. */
export async function sendReport(url: string, report: MalfeasanceReport, options: SendReportOptions = {}): Promise<void> {
  const { signal, tries = 3, fetch = globalThis.fetch } = options;
  if (!URL.canParse(url) || new URL(url).protocol !== "https:") throw new NtpError("INVALID_ARGUMENT", `expected an https: URL to report to, got "${url}"`);
  const { problems } = judgeReport(report);
  if (problems.length > 0) throw new NtpError("INVALID_ARGUMENT", `expected a report that proves malfeasance, but ${problems[0]}`);
  const request = { method: "POST", headers: { "content-type": REPORT_TYPE }, body: JSON.stringify(report), ...(signal ? { signal } : {}) };
  for (let failures = 1; ; failures++) {
    const told = await fetch(url, request).then(({ ok, status }) => (ok ? undefined : `status ${status}`), (error: unknown) => (error as Error).message);
    if (told === undefined) return;
    if (signal?.aborted) throw new NtpError("ABORTED", "sending the report was aborted by its caller", { source: url, cause: signal.reason });
    if (failures >= tries) throw new NtpError("UNREACHABLE", `the report was not taken at "${url}" in ${tries} tries: ${told}`, { source: url });
    await pause(reportBackoff(failures) * 1000, signal);
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
