// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Several sources asked at once, and what they agree on: the core's intersection finds the truechimers, their weighted mean
 * is the offset, the ends of the intersection are its bound. Tested in survey.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { Core } from "../core/core.ts";
import { sameEndpoint } from "./duplicates.ts";
import type { Host } from "../host.ts";
import type { KeyRing } from "./keyring.ts";
import { query, ringFor, type QueryOptions } from "./query.ts";
import type { Sample } from "./sample.ts";
import { parseSource } from "./source.ts";

export interface SurveyOptions extends QueryOptions {
  /** How many sources must agree at least. Default 2, or 1 when only one source is asked. */
  quorum?: number;
  /** Ask each source this often, 2 s apart, and keep the sample of least delay. 1..8, default 1. */
  samples?: number;
}

/** What one source had to say. */
export interface SurveyEntry {
  readonly source: string;
  /** Its sample, fit or not. */
  readonly sample?: Sample;
  /** Why there is no sample. */
  readonly error?: NtpError;
  /**
   * survivor: agrees with the majority; falseticker: does not; unfit: its sample has problems; silent: no sample; duplicate: the
   * same server as another source, and without a say, as one server has one vote.
   */
  readonly verdict: "survivor" | "falseticker" | "unfit" | "silent" | "duplicate" | "undecided";
  /** Of a duplicate: the source that speaks for the same address and port. */
  readonly duplicateOf?: string;
}

/** What the sources agree on. */
export interface Consensus {
  /** How far this host's clock is behind the truth, s. */
  readonly offset: number;
  readonly offsetNs: bigint;
  /**
   * The truth lies within `offset ± uncertainty` as long as more than half of the sources that gave a usable answer are
   * honest about their bounds, s.
   */
  readonly uncertainty: number;
}

export interface Survey {
  readonly entries: readonly SurveyEntry[];
  /** Undefined when no majority agrees; then every fit entry is "undecided". */
  readonly consensus?: Consensus;
  /** Survivors. */
  readonly agreeing: number;
  readonly quorum: number;
}

/**
 * Well-kept public services of different operators, none of which smears leap seconds: mixed with unsmeared ones, smeared time
 * would look like a lie for a day.
 */
export const DEFAULT_SOURCES: readonly string[] = [
  "time.cloudflare.com",
  "nts.netnod.se",
  "ptbtime1.ptb.de",
  "ntppool1.time.nl",
  "time.apple.com",
];

let selectCore: Core | undefined;

/** See {@link Escapement.survey}. */
export async function survey(host: Host, sources: readonly (string | URL)[] = DEFAULT_SOURCES, options: SurveyOptions = {}): Promise<Survey> {
  if (sources.length === 0 || sources.length > 64) {
    throw new NtpError("INVALID_ARGUMENT", `expected 1..64 sources, got ${sources.length}`);
  }
  const { samples = 1, quorum = Math.min(2, sources.length) } = options;
  if (!(Number.isInteger(samples) && samples >= 1 && samples <= 8)) throw new NtpError("INVALID_ARGUMENT", `expected 1..8 samples, got ${samples}`);
  if (!(Number.isInteger(quorum) && quorum >= 1)) throw new NtpError("INVALID_ARGUMENT", `expected a quorum of 1 or more, got ${quorum}`);
  // Before any is asked: one that cannot be read must not leave requests to the others under way.
  for (const source of sources) isSpoken(source);
  const asked = await Promise.all(sources.map((source) => askRepeatedly(host, source, options)));
  return judge(host, asked, quorum);
}

/** A source that cannot be read is the caller's mistake; one of a scheme that is not spoken here is a lost one. */
function isSpoken(source: string | URL): boolean {
  try {
    parseSource(source, { roughtime: true });
    return true;
  } catch (error) {
    if ((error as NtpError).code !== "UNSUPPORTED") throw error;
    return false;
  }
}

interface Asked {
  readonly source: string;
  readonly sample?: Sample;
  readonly error?: NtpError;
}

/** Time between two requests of a burst, ms (BTIME, RFC 5905 §13.2). */
const BURST_SPACING_MS = 2000;

/** Up to `samples` requests; the best by delay of what came. A kiss ends the burst. */
async function askRepeatedly(host: Host, source: string | URL, options: SurveyOptions): Promise<Asked> {
  const ring = isSpoken(source) ? ringFor(host, source, options) : undefined;
  let best = await ask(host, source, options, ring);
  for (let round = 1; round < (options.samples ?? 1) && !best.sample?.kiss; round++) {
    await pause(BURST_SPACING_MS, options.signal);
    const next = await ask(host, source, options, ring);
    const better = next.sample && (!best.sample?.usable || (next.sample.usable && next.sample.delay < best.sample.delay));
    if (better) best = next;
  }
  return best;
}

/** Over at once when the signal fires; the next request then says so. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
    if (signal?.aborted) done();
  });
}

async function ask(host: Host, source: string | URL, options: QueryOptions, ring: KeyRing | undefined): Promise<Asked> {
  try {
    return { source: String(source), sample: await query(host, source, options, ring) };
  } catch (error) {
    // A source that is lost is a state; a wrong call or the caller's own abort is not.
    if (!(error instanceof NtpError) || error.code === "ABORTED" || error.code === "INVALID_ARGUMENT") throw error;
    return { source: String(source), error };
  }
}

function judge(host: Host, asked: readonly Asked[], quorum: number): Survey {
  const core = (selectCore ??= new Core());
  const usable = asked.flatMap(({ sample }) => (sample?.usable ? [sample] : []));
  const fit = usable.filter((sample) => speakerOf(sample, usable) === sample);
  fillCandidates(core, fit, host.clock.now());
  const agreeing = core.exports.intersect(fit.length);
  const decided = agreeing >= quorum && agreeing > 0;
  const entries = asked.map((entry): SurveyEntry => {
    const speaker = entry.sample?.usable ? speakerOf(entry.sample, usable) : entry.sample;
    if (speaker !== entry.sample) return { ...entry, verdict: "duplicate", duplicateOf: asked.find(({ sample }) => sample === speaker)!.source };
    return { ...entry, verdict: verdictOf(core, entry.sample, fit, decided) };
  });
  return { entries, agreeing, quorum, ...(decided ? { consensus: consensusOf(core, fit.length) } : {}) };
}

/** Of all that one server said the sample that counts: one that is proven to be its, the first otherwise. */
function speakerOf(sample: Sample, usable: readonly Sample[]): Sample {
  const same = usable.filter((other) => sameEndpoint(other, sample));
  return same.find(({ authenticated }) => authenticated) ?? same[0] ?? sample;
}

/** Each fit sample becomes a candidate; its distance grows by what our clock may have drifted since. */
function fillCandidates(core: Core, fit: readonly Sample[], nowNs: bigint): void {
  const { exports, view } = core;
  fit.forEach((sample, index) => {
    const at = candidateFields(core, index);
    const age = exports.intervalFromNs(nowNs - sample.t4);
    view.setBigInt64(at.MID, exports.intervalFromNs(sample.offsetNs), true);
    view.setBigInt64(at.DISTANCE, exports.intervalFromNs(sample.rootDistanceNs) + exports.driftOver(age), true);
  });
}

function candidateFields(core: Core, index: number): { MID: number; DISTANCE: number; TRUECHIMER: number } {
  const base = core.constant("CANDIDATES") + index * core.constant("CANDIDATE_SIZE");
  return {
    MID: base + core.constant("CANDIDATE_MID"),
    DISTANCE: base + core.constant("CANDIDATE_DISTANCE"),
    TRUECHIMER: base + core.constant("CANDIDATE_TRUECHIMER"),
  };
}

function verdictOf(core: Core, sample: Sample | undefined, fit: readonly Sample[], decided: boolean): SurveyEntry["verdict"] {
  if (!sample) return "silent";
  const index = fit.indexOf(sample);
  if (index < 0) return "unfit";
  if (!decided) return "undecided";
  return core.u32(candidateFields(core, index).TRUECHIMER) ? "survivor" : "falseticker";
}

function consensusOf(core: Core, count: number): Consensus {
  const { exports } = core;
  const offset = exports.intersectionOffset(count);
  const above = exports.intersectionHigh() - offset;
  const below = offset - exports.intersectionLow();
  return {
    offset: exports.intervalToSeconds(offset),
    offsetNs: exports.intervalToNs(offset),
    uncertainty: exports.intervalToSeconds(above > below ? above : below),
  };
}

/** See {@link Escapement.now}. */
export async function now(host: Host, options: SurveyOptions & { sources?: readonly (string | URL)[] } = {}): Promise<Date> {
  const { consensus, entries, agreeing, quorum } = await survey(host, options.sources, options);
  if (consensus) return new Date(Number((host.clock.now() + consensus.offsetNs) / 1_000_000n));
  const told = entries.map(({ source, verdict, error }) => `${source} ${error?.code ?? verdict}`).join(", ");
  throw new NtpError("NO_AGREEMENT", `expected ${quorum} or more sources that agree, got ${agreeing} (${told}); ask more sources, or check the network`);
}
