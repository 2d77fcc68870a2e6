// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The public functions, bound to what one runtime lends. Each hosts/X/index.ts calls {@link createApi} once.
 * Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

import { byCards, type CardOptions } from "./client/cards.ts";
import { query, type QueryOptions } from "./client/query.ts";
import type { Sample } from "./client/sample.ts";
import { now, survey, type Survey, type SurveyOptions } from "./client/survey.ts";
import type { SystemClock, SystemClockOptions } from "./clock/system.ts";
import type { Host } from "./host.ts";
import { startClock, watch, type Clock, type ClockOptions, type ClockState } from "./client/start.ts";
import { byRelay, hostByRelay } from "./relay/by.ts";
import { serve, type ServeOptions, type Server } from "./server/serve.ts";

/** The ladder: the time; one server's word; what several agree on; a clock and a server of one's own; the system's clock. */
export interface Escapement {
  /**
   * The time, from several sources that agree. Milliseconds; use {@link survey} for more and for its bound.
   *
   * @throws {NtpError} `NO_AGREEMENT` when fewer than `quorum` sources agree, `INVALID_ARGUMENT`, `ABORTED`.
   * @example
   * const date = await now();
   */
  now(options?: SurveyOptions & { sources?: readonly (string | URL)[] }): Promise<Date>;

  /**
   * Ask one server once.
   *
   * The sample may be unfit to set a clock by: {@link Sample.problems} says why. Use {@link now} if you only want the time.
   *
   * @throws {NtpError} `TIMEOUT` when nothing came, `UNREACHABLE` when every address refused, `DNS` when the name has no
   * address, `UNSUPPORTED` when this runtime has no UDP, `INVALID_ARGUMENT`, `ABORTED`.
   * @example
   * const sample = await query("time.cloudflare.com", { timeout: 2 });
   * console.log(`${sample.offset} s ± ${sample.rootDistance} s`);
   */
  query(source: string | URL, options?: QueryOptions): Promise<Sample>;

  /**
   * Ask several sources at once and find what a majority agrees on, who does not, and how far the truth can be off.
   * Losing sources is a state of the result, not an error.
   *
   * @throws {NtpError} `INVALID_ARGUMENT`, `ABORTED`.
   */
  survey(sources?: readonly (string | URL)[], options?: SurveyOptions): Promise<Survey>;

  /**
   * A disciplined clock for this process, without privileges: steady, bounded, never backwards. Resolves when enough
   * sources agree for the first time, usually after six seconds.
   *
   * @throws {NtpError} `NO_AGREEMENT` when they do not within `timeout`, `UNSUPPORTED`, `INVALID_ARGUMENT`, `ABORTED`.
   * @example
   * await using clock = await startClock();
   * console.log(clock.now(), clock.uncertainty);
   */
  startClock(options?: ClockOptions): Promise<Clock>;

  /**
   * The states of a disciplined clock, as they change, until the loop is left or `signal` fires.
   *
   * @throws {NtpError} `UNSUPPORTED`, `INVALID_ARGUMENT`.
   * @example
   * for await (const { offset, uncertainty } of watch()) console.log(offset, uncertainty);
   */
  watch(options?: ClockOptions): AsyncIterable<ClockState>;

  /**
   * Answer NTP requests. Not synchronised until told its stratum: it must not claim what nobody vouches for.
   *
   * @throws {NtpError} `SOCKET` when an address cannot be bound, `UNSUPPORTED`, `INVALID_ARGUMENT`.
   * @example
   * await using server = await serve({ port: 12300, stratum: 10 });
   */
  serve(options?: ServeOptions): Promise<Server>;

  /**
   * The system's clock: read what the system says of it, step it, slew it, set its frequency. Needs FFI, and to change anything
   * root or CAP_SYS_TIME (Windows: the right to set the time). Only one program may steer a clock: stop chronyd, ntpd,
   * systemd-timesyncd or W32Time first. Opening it changes nothing.
   *
   * @throws {NtpError} `CLOCK` when this process may not, `UNSUPPORTED` where there is no way to it.
   * @example
   * await using clock = await openSystemClock();
   * await clock.slew(0.01);
   */
  openSystemClock(options?: SystemClockOptions): Promise<SystemClock>;
}

/**
 * Bind the public functions to what a runtime lends. `lend` is called at first use, so that importing the package opens
 * no library and reads no clock.
 */
export function createApi(lend: () => Promise<Host>): Escapement {
  let lent: Promise<Host> | undefined;
  const host = () =>
    (lent ??= lend().catch((error: unknown) => {
      // Another call may find things better.
      lent = undefined;
      throw error;
    }));
  const stamped = async (options: CardOptions = {}) => byCards(await host(), options);
  return {
    now: async (options) => byRelay(await stamped(options), options?.relay, (lent) => now(lent, options)),
    query: async (source, options) => byRelay(await stamped(options), options?.relay, (lent) => query(lent, source, options)),
    survey: async (sources, options) => byRelay(await stamped(options), options?.relay, (lent) => survey(lent, sources, options)),
    startClock: async (options) => startClock(await hostByRelay(await stamped(options), options?.relay), options),
    watch: async function* (options) {
      yield* watch(await hostByRelay(await stamped(options), options?.relay), options);
    },
    serve: async (options) => serve(await host(), options),
    openSystemClock: async (options) => (await import("./clock/system.ts")).openSystemClock(await host(), options),
  };
}
