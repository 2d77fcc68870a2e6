// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The time to judge certificates by where `certTime` is "roughtime": the middle of what a majority of Roughtime servers signed.
 * This host's wall clock has no say in it (RFC 10049 §6, RFC 8915 §8.5).
 *
 * What was found is remembered for a while, on the monotonic clock, so that several sources do not each ask for it. Tested in
 * quorumtime.test.ts, end to end in tests/interop/certtime.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { RoughtimeServerEntry } from "../roughtime/client.ts";

/** More are not asked: two of five may be silent or lie. */
const MOST_ASKED = 5;
/** For each answer, s: with one that is silent the others must be heard before those who wait for keys give up. */
const ANSWER_TIMEOUT_S = 3;
/** How long it is used, ns: a machine that slept meanwhile may not know. */
const KEPT_NS = 600_000_000_000n;

interface Remembered {
  /** ms since 1970, at `atNs` of the monotonic clock. */
  timeMs: number;
  atNs: bigint;
}

/** Of each host, by the servers. */
const remembered = new WeakMap<Host, Map<string, Remembered>>();
const turns = new WeakMap<Host, Promise<unknown>>();

/** ms since 1970. @throws {NtpError} `NO_AGREEMENT` without a majority of three servers or more, `ABORTED` */
export async function quorumTime(host: Host, servers: readonly RoughtimeServerEntry[], signal: AbortSignal): Promise<number> {
  // One after the other: who comes second need not ask.
  const before = turns.get(host) ?? Promise.resolve();
  const turn = before.catch(() => {}).then(() => recall(host, servers, signal));
  turns.set(host, turn);
  return turn;
}

async function recall(host: Host, servers: readonly RoughtimeServerEntry[], signal: AbortSignal): Promise<number> {
  const known = remembered.get(host) ?? new Map<string, Remembered>();
  remembered.set(host, known);
  const key = servers.map(({ publicKey }) => publicKey.join()).sort().join(";");
  const found = known.get(key);
  const age = found === undefined ? KEPT_NS : host.clock.monotonic() - found.atNs;
  if (found && age < KEPT_NS) return found.timeMs + Number(age) / 1e6;
  const timeMs = await ask(host, servers, signal);
  known.set(key, { timeMs, atNs: host.clock.monotonic() });
  return timeMs;
}

async function ask(host: Host, servers: readonly RoughtimeServerEntry[], signal: AbortSignal): Promise<number> {
  const { bootstrapTime } = await import("../roughtime/bootstrap.ts");
  try {
    const { low, high } = await bootstrapTime(host, servers, { signal, count: Math.min(servers.length, MOST_ASKED), timeout: ANSWER_TIMEOUT_S });
    return (low + high) / 2;
  } catch (error) {
    if (!(error instanceof NtpError && error.code === "NO_AGREEMENT")) throw error;
    throw new NtpError("NO_AGREEMENT", `certificates are judged by the time of Roughtime servers (certTime = "roughtime"), and no keys are asked for without it: ${error.message}`, { cause: error });
  }
}
