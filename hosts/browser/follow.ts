// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A page's clock over `nts:` and `ntp:` sources, with as much of scripts and core as these need: asking servers by NTPv4 is a
 * third of the core (assembly/follow.ts). Symmetric keys, NTPv5, interleaved mode, peers, broadcasts, manycast, reference
 * clocks and the PLL/FLL need all of it, and so does who asks Roughtime for the time of certificates.
 *
 * In what a page loads, the clock that is imported here at once knows of servers alone; the one that is imported later, of
 * everything (build/bundle.mjs). Tested in follow.test.ts and, in Chromium, in tests/browser.
 *
 * @module
 */

import { startClock as startOverServers, watch as watchServers, type Clock, type ClockOptions, type ClockState } from "../common/client/start.ts";
import { hostBy } from "./full.ts";

type Options = ClockOptions & { readonly relay?: string | URL };
type Source = NonNullable<ClockOptions["sources"]>[number];

/** See {@link import("./index.ts").startClock}. */
export async function startClock(options: Options): Promise<Clock> {
  if (asksServers(options)) return startOverServers(await hostBy(options.relay, "follow"), options);
  return (await import("../common/client/start.ts")).startClock(await hostBy(options.relay, "whole"), options);
}

/** See {@link import("./index.ts").watch}. */
export async function* watch(options: Options): AsyncGenerator<ClockState, void, void> {
  if (asksServers(options)) return yield* watchServers(await hostBy(options.relay, "follow"), options);
  yield* (await import("../common/client/start.ts")).watch(await hostBy(options.relay, "whole"), options);
}

/** Whether it is a clock that asks servers by NTPv4, with NTS or without, and does nothing else. */
export function asksServers({ sources = [], algorithm = "estimator", peering }: ClockOptions): boolean {
  return algorithm === "estimator" && !peering && sources.every(isServer);
}

function isServer(source: Source): boolean {
  if (typeof source === "string" || source instanceof URL) return !/^\s*refclock:/i.test(String(source));
  if ((source.mode ?? "client") !== "client") return false;
  const { source: name, version = 4, interleaved, correction, key, nts } = source as Exclude<typeof source, { mode: "manycast" | "refclock" }>;
  return isServer(name) && (version === 3 || version === 4) && !interleaved && !correction && !key && nts?.certTime !== "roughtime";
}
