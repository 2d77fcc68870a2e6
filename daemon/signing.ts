// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon's Roughtime server: it signs the time of the clock that is disciplined, and its radius is that clock's own root
 * distance. While the clock is not synchronised, or nothing was heard of it for a while, it is silent, as Roughtime cannot say
 * "not synchronised". Tested in roughtime.test.ts.
 *
 * @module
 */

import type { Endpoint, Host } from "../hosts/common/host.ts";
import { serveRoughtime, type RoughtimeServer } from "../hosts/common/roughtime/server.ts";
import type { ServedState } from "./report.ts";
import { readServerKeys, type Warn } from "./secrets.ts";
import type { ServerSection } from "./serving.ts";

const DEFAULT_PORT = 2002;
const EVERYWHERE = ["0.0.0.0", "::"] as const;
const RENEW_MS = 3_600_000;
/** PHI of RFC 5905 §7.1, s/s: what a clock that nobody corrects may drift. */
const DRIFT = 15e-6;
/** The clock is told of each second; whoever is not heard of for so long may have died, s. */
const LONGEST_SILENCE_S = 60;

/** How far a clock may be off, s, `age` s after that was told of it; undefined: nobody knows. */
export function radiusOf(told: Pick<ServedState, "stratum" | "rootDelay" | "rootDispersion"> | undefined, age: number): number | undefined {
  if (told?.stratum === undefined || !(age >= 0 && age <= LONGEST_SILENCE_S)) return undefined;
  return told.rootDelay / 2 + told.rootDispersion + age * DRIFT;
}

/** What is signed, and by whom. */
export interface SignedClock {
  /** Its clock is the one that is disciplined. */
  readonly host: Host;
  /** The latest word of that clock, and how old it is, s. */
  readonly latest: () => { readonly told: ServedState; readonly age: number } | undefined;
  readonly warn: Warn;
}

export interface Signing {
  readonly server: RoughtimeServer;
  readonly addresses: readonly Endpoint[];
  close(): Promise<void>;
}

/** Serve Roughtime. Rejects with the runtime's error where the key cannot be read, with an NtpError where a port cannot be had. */
export async function startSigning(section: NonNullable<ServerSection["roughtime"]>, fallback: readonly string[] | undefined, { host, latest, warn }: SignedClock): Promise<Signing> {
  const { key, listen = fallback ?? EVERYWHERE, port = DEFAULT_PORT, grease } = section;
  const keys = () => readServerKeys(key, host, warn);
  const server = await serveRoughtime(host, {
    listen: listen.map((address) => ({ address, port })),
    keys: await keys(),
    radius: () => {
      const word = latest();
      return radiusOf(word?.told, word?.age ?? 0);
    },
    ...(grease === undefined ? {} : { grease }),
  });
  // A fault in new delegations must not end a server that has good ones.
  const renew = () => void keys().then((fresh) => server.renew(fresh)).catch((error: unknown) => warn(`${key}: ${(error as Error).message}`));
  const timer = setInterval(renew, RENEW_MS);
  return {
    server,
    addresses: server.addresses,
    close() {
      clearInterval(timer);
      return server.close();
    },
  };
}
