// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the discipline is told of one exchange. The association (or the host, through the exported MEASUREMENT_* offsets)
 * fills the one at {@link measurement} and then calls disciplineSample. Replies that fail tests 1..7 MUST NOT get here.
 * Tested in tests/simulation/table.test.ts.
 */

/** One sample. All intervals in 2^-32 s. */
@unmanaged
export class Measurement {
  /** When the reply arrived, on the monotonic clock, unsigned 32.32 s from wherever that clock starts. */
  when: u64;
  /**
   * When it is told, if that is later than `when` by more than its arrival: the offset MUST then be in terms of the clock as
   * it runs at `told` (ledger.ts), its slews taken out. 0: told at `when`, in terms of the clock as it ran then.
   */
  told: u64;
  /** θ, how far the server is ahead. */
  offset: i64;
  /** δ, the round trip without the server's residence. */
  delay: i64;
  /** ε, both clocks' precision and the drift during the exchange. */
  dispersion: i64;
  /** Of the server, from its packet. */
  rootDelay: i64;
  rootDispersion: i64;
  stratum: i32;
  /** 3: the server is unsynchronised, and does not count. */
  leap: i32;
}

export const measurementAt: usize = memory.data(offsetof<Measurement>(), 8);

/** Address of the one Measurement. */
export function measurement(): usize {
  return measurementAt;
}

export const MEASUREMENT_WHEN: usize = offsetof<Measurement>("when");
export const MEASUREMENT_TOLD: usize = offsetof<Measurement>("told");
export const MEASUREMENT_OFFSET: usize = offsetof<Measurement>("offset");
export const MEASUREMENT_DELAY: usize = offsetof<Measurement>("delay");
export const MEASUREMENT_DISPERSION: usize = offsetof<Measurement>("dispersion");
export const MEASUREMENT_ROOT_DELAY: usize = offsetof<Measurement>("rootDelay");
export const MEASUREMENT_ROOT_DISPERSION: usize = offsetof<Measurement>("rootDispersion");
export const MEASUREMENT_STRATUM: usize = offsetof<Measurement>("stratum");
export const MEASUREMENT_LEAP: usize = offsetof<Measurement>("leap");
