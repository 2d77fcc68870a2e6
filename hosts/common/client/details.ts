// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What an NTPv5 server told beside the time, read from the core after a reply (assembly/association/v5fields.ts judges it).
 * Tested in version.test.ts.
 *
 * @module
 */

import type { Core } from "../core/core.ts";
import type { Ntpv5Facts } from "./sample.ts";

const FIELDS = ["VERSIONS", "SCALES", "CORRECTION", "MONO_EPOCH", "REFERENCE_TIME", "MONO_RECEIVE", "TAI", "UT1", "SMEARED", "ORIGIN", "DELAY"] as const;
/** Bits of the scales, and the names that they are told by. */
const SCALES = [["tai", "TAI", 1 << 1], ["ut1", "UT1", 1 << 2], ["smeared", "SMEARED", 1 << 3]] as const;
const CORRECTION_ABSENT = 0;
const CORRECTION_USED = 2;
/** Corrections are told in 2^-16 ns. */
const CORRECTION_PER_SECOND = 65536e9;

/** Of the reply that was read last. `nearNs`: a time about now, ns since 1970. */
export function readDetails(core: Core, nearNs: bigint): Ntpv5Facts {
  const { view, exports } = core;
  const at = core.fields("DETAILS", FIELDS);
  const versions = view.getUint16(at.VERSIONS, true);
  const referenceTime = core.i64(at.REFERENCE_TIME);
  const monoReceive = core.i64(at.MONO_RECEIVE);
  const told = view.getUint8(at.SCALES);
  const correction = view.getUint8(at.CORRECTION);
  const receiveTime = core.i64(core.constant("SAMPLE") + core.constant("HEADER_RECEIVE_TIME"));
  return {
    ...(versions === 0 ? {} : { versions: Array.from({ length: 16 }, (_, bit) => bit + 1).filter((version) => versions & (1 << (version - 1))) }),
    ...(referenceTime === 0n ? {} : { referenceNs: exports.timestampToUnixNs(referenceTime, nearNs) }),
    ...(monoReceive === 0n ? {} : { monotonic: { epoch: core.u32(at.MONO_EPOCH), aheadNs: exports.intervalToNs(exports.elapsed(receiveTime, monoReceive)) } }),
    ...(told === 0 ? {} : { scales: Object.fromEntries(SCALES.filter(([, , bit]) => told & bit).map(([name, field]) => [name, exports.intervalToSeconds(core.i64(at[field]))])) }),
    ...(correction === CORRECTION_ABSENT ? {} : { correction: { request: seconds(core.i64(at.ORIGIN)), reply: seconds(core.i64(at.DELAY)), used: correction === CORRECTION_USED } }),
  };
}

function seconds(correction: bigint): number {
  return Number(correction) / CORRECTION_PER_SECOND;
}
