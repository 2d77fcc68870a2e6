// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * When the server's next leap second comes, and its smear once begun.
 *
 * A smear that has begun is finished, whatever is announced meanwhile: upstream servers fall silent about a leap second as soon
 * as it has been, when half of the smear is still to come, and a source lost for a minute must not make time jump. Tested in
 * smear.test.ts; the shape is the core's (assembly/server/leap.ts).
 *
 * @module
 */

import { NtpError } from "../errors.ts";

export interface SmearOptions {
  /** How the second is spread: evenly, or slowly at both ends. Default "cosine". */
  readonly shape?: "cosine" | "linear";
  /** Over how long, s, with the leap second in the middle; 60..172800. Default 86400, from noon to noon. */
  readonly seconds?: number;
}

/** What the core is told of leap seconds. */
export interface LeapPlan {
  /** What is announced, where it is not smeared. */
  readonly leap: 0 | 1 | 2;
  /** When it comes, ns since 1970; absent: whenever the leap indicator says so. */
  readonly atNs?: bigint;
  /** 0 none, 1 linear, 2 cosine. */
  readonly shape: number;
  /** s */
  readonly seconds: number;
}

const NS_PER_SECOND = 1_000_000_000n;
const DAY = 86_400;

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedSmear(smear: SmearOptions | boolean | undefined): Required<SmearOptions> | undefined {
  if (smear === undefined || smear === false) return undefined;
  const { shape = "cosine", seconds = DAY } = smear === true ? {} : smear;
  if (shape !== "cosine" && shape !== "linear") throw new NtpError("INVALID_ARGUMENT", `expected a smear.shape of "cosine" or "linear", got ${String(shape)}`);
  if (!(Number.isInteger(seconds) && seconds >= 60 && seconds <= 2 * DAY)) {
    throw new NtpError("INVALID_ARGUMENT", `expected smear.seconds of 60..${2 * DAY}, got ${String(seconds)}`);
  }
  return { shape, seconds };
}

/** Follows what is announced. */
export class LeapPlanner {
  readonly #smear: Required<SmearOptions> | undefined;
  #begun: { readonly leap: 1 | 2; readonly atNs: bigint } | undefined;

  constructor(smear: Required<SmearOptions> | undefined) {
    this.#smear = smear;
  }

  /** `leap` is announced at `nowNs`, for `atNs` where that is known, else for the end of the month (RFC 5905 §7.3). */
  plan(leap: 0 | 1 | 2, atNs: bigint | undefined, nowNs: bigint): LeapPlan {
    const smear = this.#smear;
    if (!smear) return { leap, ...(leap !== 0 && atNs !== undefined && { atNs }), shape: 0, seconds: 0 };
    const halfNs = (BigInt(smear.seconds) * NS_PER_SECOND) / 2n;
    const begun = this.#begun;
    if (begun && nowNs >= begun.atNs + halfNs) this.#begun = undefined;
    const coming = leap === 0 ? undefined : ({ leap, atNs: atNs ?? endOfMonth(nowNs) } as const);
    const due = this.#begun ?? coming;
    if (due && nowNs >= due.atNs - halfNs) this.#begun = due;
    return { leap: due?.leap ?? 0, ...(due && { atNs: due.atNs }), shape: smear.shape === "linear" ? 1 : 2, seconds: smear.seconds };
  }
}

/** The first moment of the next UTC month, ns since 1970. */
export function endOfMonth(nowNs: bigint): bigint {
  const now = new Date(Number(nowNs / 1_000_000n));
  return BigInt(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)) * 1_000_000n;
}
