// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock that a relay or a Worker tells, and how good it is said to be. Without a stratum nobody vouches for it: NTP packets
 * then say "not synchronised", JSON says nothing. Tested in web.test.ts and server.test.ts.
 *
 * @module
 */

import type { Endpoint, HostClock } from "../host.ts";
import { NtpError } from "../errors.ts";
import { ServerCore } from "../server/state.ts";
import type { TimeTold } from "./web.ts";

/** How the clock is vouched for. */
export interface TimeOptions {
  /** 1..15: steps from a reference clock. */
  readonly stratum: number;
  /** Four letters at stratum 1, an IPv4 address above. */
  readonly refid?: string;
  /** s. Default 0. */
  readonly rootDelay?: number;
  /** Error of the clock, s. Default 0.01. */
  readonly rootDispersion?: number;
}

const DEFAULT_DISPERSION = 0.01;

export class ToldTime {
  readonly #core: ServerCore;
  readonly #clock: HostClock;
  readonly #bound: number | undefined;

  /** @throws {NtpError} `INVALID_ARGUMENT` */
  constructor(clock: HostClock, options?: TimeOptions) {
    const { stratum, refid, rootDelay = 0, rootDispersion = DEFAULT_DISPERSION } = options ?? {};
    if (stratum !== undefined && !(Number.isInteger(stratum) && stratum >= 1 && stratum <= 15)) throw new NtpError("INVALID_ARGUMENT", `expected a stratum of 1..15, got ${stratum}`);
    for (const [name, value] of [["rootDelay", rootDelay], ["rootDispersion", rootDispersion]] as const) {
      if (!(value >= 0 && value <= 15)) throw new NtpError("INVALID_ARGUMENT", `expected a ${name} of 0..15 s, got ${String(value)}`);
    }
    this.#clock = clock;
    this.#bound = stratum === undefined ? undefined : rootDelay / 2 + rootDispersion + clock.precision;
    this.#core = new ServerCore({ stratum, refid, rootDelay, rootDispersion, leap: 0, precision: clock.precision, kiss: undefined }, () => clock.now());
  }

  told(): TimeTold {
    return { nowNs: this.#clock.now(), bound: this.#bound };
  }

  /** The reply to an NTP packet, a copy; undefined where none is due. */
  answer(packet: Uint8Array, receivedNs: bigint, from?: Endpoint): Uint8Array<ArrayBuffer> | undefined {
    return this.#core.answer(packet, receivedNs, from)?.slice() as Uint8Array<ArrayBuffer> | undefined;
  }
}
