// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The discipline's fixed memory: one clock, up to 64 sources, all of it known at compile time. Nothing here allocates.
 *
 *   Source (header), and behind it:  64 past samples │ 8 likelihoods │ 8 noise models × 5 wanders of Filter   4.2 KB
 *
 * Units: seconds and s/s as f64 unless said otherwise; `when` is the host's monotonic clock as unsigned 32.32 seconds
 * (its origin does not matter, only differences count). A positive offset means that the server is ahead of us.
 * Tested through the exports in tests/simulation/table.test.ts.
 */

/** RFC 5905 names no limit; 64 fits one instance's memory and a bit mask. */
export const SOURCES: i32 = 64;
/** Samples kept of each source: an hour at 64 s, enough for the spread of the delay to be known within a tenth. */
export const HISTORY: i32 = 64;
/** How an offset's error may depend on the delay: noise.ts. */
export const MODELS: i32 = 8;
/** Wanders of the oscillator that are tried side by side: bank.ts. */
export const WANDERS: i32 = 5;

/** A sample as it came, re-expressed in terms of the clock as it runs now. 32 bytes. */
@unmanaged
export class Past {
  when: u64;
  offset: f64;
  delay: f64;
  /** What the clocks' own precision adds. */
  dispersion: f64;
}

/** A Gaussian belief about (offset, frequency) at the time of the source's last sample. 48 bytes. */
@unmanaged
export class Filter {
  /** Seconds that the server is ahead. */
  offset: f64;
  /** s/s by which that grows. */
  frequency: f64;
  /** Covariance: offset², offset·frequency, frequency². */
  varOffset: f64;
  covariance: f64;
  varFrequency: f64;
  /** Probability of this wander among those of the same noise model. */
  weight: f64;
}

/** {@link Source.active} of a source that has fallen silent. */
export const MUTE: i32 = 2;
/** Sources silent for longer than this many seconds do not count, nor is kept what was known of them: eight polls of 1024 s. */
export const SILENCE: f64 = 8192;

/** What the core knows about one source. */
@unmanaged
export class Source {
  /** 1 while in use; MUTE: what is known of it is kept, but it has no say. 0: no source. */
  active: i32;
  /** Samples ever taken since the source was (re)started, and where in the history the next one goes. */
  samples: i32;
  next: i32;
  /** Samples taken since the delay floor was (re)started. */
  floorSamples: i32;
  /** Consecutive samples that lie outside all that was believed: signed by side. */
  surprises: i32;
  /** 1: it has a say. 2: a truechimer that cluster cast off. 0: a falseticker, unfit, or too young. */
  selection: i32;
  stratum: i32;
  leap: i32;
  /** When the last sample was taken that is part of the belief. */
  when: u64;
  /** Least delay since the floor was (re)started. */
  floor: f64;
  /** Mean and variance of the delay's excess over the floor, with spikes cut. */
  excess: f64;
  excessVariance: f64;
  /** Of the server, from its last packet. */
  rootDelay: f64;
  rootDispersion: f64;
  /** Mean and covariance over all filters, at `when`. */
  offset: f64;
  frequency: f64;
  varOffset: f64;
  covariance: f64;
  varFrequency: f64;
  /** What was known of the frequency before the first sample of the history. */
  priorFrequency: f64;
  priorVarFrequency: f64;
  /** RFC 5905 §9.1 peer variables: p.offset, p.delay, p.disp, p.jitter, p.t; clockfilter.ts makes them. */
  peerOffset: f64;
  peerDelay: f64;
  peerDispersion: f64;
  peerJitter: f64;
  peerWhen: u64;
  /** 1: where it is among those that agree, only such as it steer the clock. */
  preferred: i32;
}

const HISTORY_AT: usize = 0;
const LIKELIHOODS_AT: usize = HISTORY_AT + <usize>HISTORY * offsetof<Past>();
const FILTERS_AT: usize = LIKELIHOODS_AT + <usize>MODELS * 8;
/** What lies behind each source's header. */
const TAIL_SIZE: usize = FILTERS_AT + <usize>(MODELS * WANDERS) * offsetof<Filter>();

/** All that one source takes, in octets. */
export const SOURCE_OCTETS: usize = offsetof<Source>() + TAIL_SIZE;

const headers: usize = memory.data(SOURCES * offsetof<Source>(), 16);
const tails: usize = memory.data(
  SOURCES * (HISTORY * offsetof<Past>() + MODELS * 8 + MODELS * WANDERS * offsetof<Filter>()),
  16,
);

/** Sources are numbered 0..63; any other number is folded into that range, so that none can reach foreign memory. */
export function sourceAt(index: i32): Source {
  return changetype<Source>(headers + <usize>(index & (SOURCES - 1)) * offsetof<Source>());
}

function tailOf(source: Source): usize {
  return tails + ((changetype<usize>(source) - headers) / offsetof<Source>()) * TAIL_SIZE;
}

/** Place `slot` (0..63) of the ring of past samples. */
export function pastAt(source: Source, slot: i32): Past {
  return changetype<Past>(tailOf(source) + HISTORY_AT + <usize>(slot & (HISTORY - 1)) * offsetof<Past>());
}

/** The sample taken `age` samples ago; 0 is the newest. */
export function pastBack(source: Source, age: i32): Past {
  return pastAt(source, source.next - 1 - age);
}

export function filterAt(source: Source, model: i32, wander: i32): Filter {
  const place = <usize>(model * WANDERS + wander);
  return changetype<Filter>(tailOf(source) + FILTERS_AT + place * offsetof<Filter>());
}

/** ln of the likelihood of each noise model, forgetting the past slowly. */
export function logLikelihood(source: Source, model: i32): f64 {
  return load<f64>(tailOf(source) + LIKELIHOODS_AT + <usize>model * 8);
}

export function setLogLikelihood(source: Source, model: i32, value: f64): void {
  store<f64>(tailOf(source) + LIKELIHOODS_AT + <usize>model * 8, value);
}

/** A source as if it had never been heard. */
export function clearSource(source: Source): void {
  memory.fill(changetype<usize>(source), 0, offsetof<Source>());
  memory.fill(tailOf(source), 0, TAIL_SIZE);
}

/** 2^-32 s, the unit of every interval on the wire. */
const UNIT: f64 = 1.0 / 4294967296.0;

/** Exact up to 2^53 units: intervals of 24 days to the unit, longer ones to 53 bits. */
export function toSeconds(interval: i64): f64 {
  return <f64>interval * UNIT;
}

/** Nearest interval; saturates at ±68 years, NaN becomes 0. */
export function toInterval(seconds: f64): i64 {
  const units = seconds * 4294967296.0;
  if (!(units > -9.2e18)) return units == units ? i64.MIN_VALUE : 0;
  if (units > 9.2e18) return i64.MAX_VALUE;
  return <i64>nearest(units);
}

/** Seconds from `from` to `to` on the monotonic clock. */
export function secondsBetween(from: u64, to: u64): f64 {
  return toSeconds(<i64>(to - from));
}
