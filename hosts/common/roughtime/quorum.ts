// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A measurement (RFC 10049 §8.2): three servers or more, one after the other, twice in the same order, each nonce bound to
 * the answer before, so that answers which contradict each other prove that somebody lied.
 *
 * A server that does not answer validly is left out, and is no liar for it. Tested in quorum.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { RoughtimeExchange } from "./attempt.ts";
import { askServer, type RoughtimeServerEntry } from "./client.ts";
import { chooseServers } from "./list.ts";
import { contradictions, makeReport, type Contradiction, type MalfeasanceReport } from "./report.ts";

export interface MeasureOptions {
  /** How many servers to ask, chosen at random. Default 3; fewer cannot tell who lies. */
  readonly count?: number;
  /** Seconds to wait for each answer. Default 5. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  readonly family?: 4 | 6;
}

/** What came of it. */
export interface Measurement {
  /** Valid answers in the order asked, each bound to the one before. */
  readonly exchanges: readonly RoughtimeExchange[];
  /** Who answered each, and who did not. */
  readonly servers: readonly RoughtimeServerEntry[];
  readonly lost: readonly { readonly server: RoughtimeServerEntry; readonly error: NtpError }[];
  /** Pairs of places in `exchanges`, of which one answer must be wrong. Empty when all is well. */
  readonly contradictions: readonly Contradiction[];
  /** The proof, where there are contradictions: show it, send it ({@link sendReport}), measure again. */
  readonly report?: MalfeasanceReport;
}

/** RFC 10049 §8.2. */
export const LEAST_SERVERS = 3;
const ROUNDS = 2;

/**
 * Measure.
 *
 * @throws {NtpError} `NO_AGREEMENT` when fewer than three servers answered validly, `INVALID_ARGUMENT`, `ABORTED`.
 */
export async function measure(host: Host, servers: readonly RoughtimeServerEntry[], options: MeasureOptions = {}): Promise<Measurement> {
  const { count = LEAST_SERVERS, timeout, signal, family } = options;
  const keys = new Set(servers.map(({ publicKey }) => publicKey.join()));
  if (keys.size < servers.length) throw new NtpError("INVALID_ARGUMENT", "expected servers with a key each, got one key twice");
  if (!(count >= LEAST_SERVERS && servers.length >= count)) {
    throw new NtpError("INVALID_ARGUMENT", `expected ${LEAST_SERVERS} Roughtime servers or more, got ${Math.min(count, servers.length)}`);
  }
  const chosen = chooseServers(host, servers, count);
  const exchanges: RoughtimeExchange[] = [];
  const answered: RoughtimeServerEntry[] = [];
  const lost = new Map<RoughtimeServerEntry, NtpError>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const server of chosen) {
      if (lost.has(server)) continue;
      try {
        exchanges.push(await askServer(host, server, { timeout, signal, family, after: exchanges.at(-1)?.response }));
        answered.push(server);
      } catch (error) {
        if (!(error instanceof NtpError) || error.code === "ABORTED") throw error;
        lost.set(server, error);
      }
    }
  }
  checkEnough(new Set(answered).size, lost);
  const found = contradictions(exchanges.map(({ answer }) => answer));
  return {
    exchanges, servers: answered, contradictions: found,
    lost: [...lost].map(([server, error]) => ({ server, error })),
    ...(found.length > 0 ? { report: makeReport(exchanges) } : {}),
  };
}

function checkEnough(count: number, lost: ReadonlyMap<RoughtimeServerEntry, NtpError>): void {
  if (count >= LEAST_SERVERS) return;
  const told = [...lost].map(([{ name }, { code }]) => `${name} ${code}`).join(", ");
  throw new NtpError("NO_AGREEMENT", `expected valid answers of ${LEAST_SERVERS} Roughtime servers or more, got ${count} (${told}); ask more servers`);
}
