// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement/browser`: the time for pages and workers, which have no UDP. docs/browser.md.
 *
 *   await now({ relay })                       2 KB, no WebAssembly: the relay's word
 *   await startClock({ relay })                a disciplined clock over it, with the core for pages
 *   await query("nts:…", { relay })            authenticated end to end; the relay need not be trusted
 *
 * Only the first is in this file; the rest is loaded when it is used.
 * Tested in tests/browser/clock.test.ts and tests/browser/relay.test.ts.
 *
 * @module
 */

import type { ClockOptions, ClockState, Clock } from "../common/client/start.ts";
import type { QueryOptions } from "../common/client/query.ts";
import type { Sample } from "../common/client/sample.ts";
import type { Survey, SurveyOptions } from "../common/client/survey.ts";
import type { RelayHost } from "../common/relay/client.ts";
import type { Measurement, MeasureOptions } from "./now.ts";
import type { PageClock, PageClockOptions } from "./pageclock.ts";
import { isTimeUrl } from "./timesource.ts";

export { NtpError } from "../common/errors.ts";
export type { NtpErrorCode, NtpErrorOptions } from "../common/errors.ts";
export type { Clock, ClockOptions, ClockState, QueryOptions, Sample, Survey, SurveyOptions, RelayHost };
export type { Measurement, MeasureOptions } from "./now.ts";
export type { PageClock, PageClockOptions } from "./pageclock.ts";
export type { PageSourceState, PageState } from "./engine.ts";

/**
 * How far this computer's clock is off, as the relay or other plain sources say.
 *
 * @throws {NtpError} `UNSUPPORTED`, `INVALID_ARGUMENT`, `UNREACHABLE`, `TIMEOUT`, `NO_AGREEMENT`, `ABORTED`
 */
export async function measure(options?: MeasureOptions): Promise<Measurement> {
  return (await import("./now.ts")).measure(options);
}

/** Through which relay: `wss://relay.example.org/`. */
export interface ByRelay {
  readonly relay?: string | URL;
}

/** Sources for the small clock, if these are; undefined for others. */
const plain = ({ relay, sources = relay ? [String(relay).replace(/^http/i, "ws")] : undefined }: { relay?: string | URL; sources?: readonly unknown[] }): string[] | undefined =>
  sources?.every((source) => isTimeUrl(String(source))) ? sources.map(String) : undefined;

/**
 * The time. By default what the relay says; `sources` may name others: `wss:` relays, `https:` servers of HTTP time, or `nts:`,
 * `ntp:` and `roughtime:` ones, which are asked through the relay.
 *
 * @throws {NtpError} `UNSUPPORTED` without a relay, `UNREACHABLE`, `TIMEOUT`, `NO_AGREEMENT`, `INVALID_ARGUMENT`, `ABORTED`
 */
export async function now(options: MeasureOptions & SurveyOptions & ByRelay = {}): Promise<Date> {
  if (!options.sources || plain(options)) return (await measure(options)).date;
  return (await import("../common/client/survey.ts")).now(await questionHost(options.sources, options), options);
}

/** Ask one server once through a relay: `nts:`, `ntp:` or `roughtime:`. Use {@link now} if you only want the time. */
export async function query(source: string | URL, options: QueryOptions & ByRelay = {}): Promise<Sample> {
  const [host, { query: ask }] = await Promise.all([questionHost([source], options), import("../common/client/query.ts")]);
  return ask(host, source, options);
}

/** Ask several servers through a relay, and find what a majority agrees on. */
export async function survey(sources: readonly (string | URL)[] | undefined, options: SurveyOptions & ByRelay = {}): Promise<Survey> {
  return (await import("../common/client/survey.ts")).survey(await questionHost(sources, options), sources, options);
}

/**
 * A disciplined clock for this page or worker. Over plain sources (the relay's own time, `wss:`, `https:`) it is the small one;
 * with `nts:` or `ntp:` sources it is the one that other runtimes have.
 *
 * @throws {NtpError} `NO_AGREEMENT` when the sources do not agree within `timeout`, `UNSUPPORTED`, `INVALID_ARGUMENT`, `ABORTED`
 */
export async function startClock(options: PageClockOptions & { sources?: readonly (string | URL)[] }): Promise<PageClock>;
export async function startClock(options: ClockOptions & ByRelay): Promise<Clock>;
export async function startClock(options: (PageClockOptions | ClockOptions) & ByRelay): Promise<PageClock | Clock> {
  const sources = plain(options);
  if (sources) return (await import("./pageclock.ts")).startPageClock(sources, options as PageClockOptions);
  return (await import("./follow.ts")).startClock(options as ClockOptions & ByRelay);
}

/** The states of a disciplined clock over `nts:` or `ntp:` sources, as they change. */
export async function* watch(options: ClockOptions & ByRelay): AsyncGenerator<ClockState, void, void> {
  yield* (await import("./follow.ts")).watch(options);
}

/** What this page lends with a relay: for the functions of `escapement/roughtime`. */
export async function lendHost(options: ByRelay): Promise<RelayHost> {
  return (await import("./full.ts")).hostBy(options.relay, "whole");
}

/** The same for single questions. NTPv4 with NTS or without is a sixth of the core; symmetric keys, NTPv5 and Roughtime need the whole. */
async function questionHost(sources: readonly (string | URL)[] = [], { relay, version = 4, key, nts }: QueryOptions & ByRelay): Promise<RelayHost> {
  const whole = key || version > 4 || nts?.certTime === "roughtime" || sources.some((source) => /^\s*roughtime:/i.test(String(source)));
  return (await import("./full.ts")).hostBy(relay, whole ? "whole" : "query");
}
