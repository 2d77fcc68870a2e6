// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for pages that ask: single requests, plain or by NTS, and what several answers agree on. No logic.
 *
 * The same sources as assembly/index.ts, optimised for size: what is exported here gives the same bits as there, which
 * tests/contract/query-core.test.ts holds against the whole core. build/core.mjs defines PAGE for it: left out are
 * symmetric keys and NTPv5 (such a request is not sent, such a reply not believed). Its cold surface has no collector: the
 * host calls {@link coldReset} before each call, when nothing of the last one is needed any more (hosts/browser/binding.ts).
 */

import { Candidate, candidates } from "./discipline/intersection";
import { Exchange } from "./association/exchange";
import { Sample } from "./association/sample";
import { Session, ntsRandom } from "./association/nts";
import { SLOT_STRIDE, slotPackets } from "./server/slots";
import { Header } from "./proto/header";

// --- proto: time ---
export { timestampFromUnixNs, timestampToUnixNs, intervalToNs, intervalFromNs, intervalToSeconds, intervalFromSeconds } from "./proto/timestamp";

// --- association ---
export { requestWrite, replyRead } from "./association/exchange";
export { driftOver } from "./association/sample";
export { ntsOpen, ntsClose, ntsCookie, ntsOut } from "./association/nts";

// --- discipline ---
export { intersect, intersectionLow, intersectionHigh, intersectionOffset } from "./discipline/intersection";

// --- crypto: the key exchange of TLS ---
export { mlkemKey, mlkemOpen, MLKEM_SEED, MLKEM_KEY, MLKEM_CIPHERTEXT, MLKEM_SECRET } from "./crypto/mlkem";

// --- memory: where things lie ---
const exchange: usize = memory.data(offsetof<Exchange>(), 8);
const sample: usize = memory.data(offsetof<Sample>(), 8);
/** Octets for the host's own use: keys and cookies on their way in. */
const SCRATCH_SIZE: i32 = 4096;
const scratch: usize = memory.data(SCRATCH_SIZE, 8);
export const EXCHANGE: usize = exchange;
export const SAMPLE: usize = sample;
export const SCRATCH: usize = scratch;
export const CANDIDATES: usize = candidates;
export const NTS_RANDOM: usize = ntsRandom;
export const SLOTS: usize = slotPackets;
export const SLOT_STRIDE_OCTETS: i32 = SLOT_STRIDE;

// --- memory: field offsets ---
export const HEADER_LEAP: usize = offsetof<Header>("leap");
export const HEADER_VERSION: usize = offsetof<Header>("version");
export const HEADER_MODE: usize = offsetof<Header>("mode");
export const HEADER_STRATUM: usize = offsetof<Header>("stratum");
export const HEADER_POLL: usize = offsetof<Header>("poll");
export const HEADER_PRECISION: usize = offsetof<Header>("precision");
export const HEADER_REFID: usize = offsetof<Header>("refid");
export const HEADER_RECEIVE_TIME: usize = offsetof<Header>("receiveTime");
export const EXCHANGE_AUTH: usize = offsetof<Exchange>("auth");
export const EXCHANGE_AUTH_INDEX: usize = offsetof<Exchange>("authIndex");
export const EXCHANGE_VERSION: usize = offsetof<Exchange>("version");
export const EXCHANGE_MODE: usize = offsetof<Exchange>("mode");
export const EXCHANGE_POLL: usize = offsetof<Exchange>("poll");
export const EXCHANGE_WANTS: usize = offsetof<Exchange>("wants");
export const EXCHANGE_ORIGIN: usize = offsetof<Exchange>("origin");
export const EXCHANGE_T1: usize = offsetof<Exchange>("t1");
export const EXCHANGE_T4: usize = offsetof<Exchange>("t4");
export const EXCHANGE_PREVIOUS_TRANSMIT: usize = offsetof<Exchange>("previousTransmit");
export const EXCHANGE_PRECISION: usize = offsetof<Exchange>("precision");
export const EXCHANGE_ECHO: usize = offsetof<Exchange>("echo");
export const EXCHANGE_SAVED_T1: usize = offsetof<Exchange>("savedT1");
export const EXCHANGE_SAVED_T2: usize = offsetof<Exchange>("savedT2");
export const EXCHANGE_SAVED_T4: usize = offsetof<Exchange>("savedT4");
export const EXCHANGE_DRAFT: usize = offsetof<Exchange>("draft");
export const EXCHANGE_WANTS_INTERLEAVED: usize = offsetof<Exchange>("wantsInterleaved");
export const EXCHANGE_SAVED_COOKIE: usize = offsetof<Exchange>("savedCookie");
export const SAMPLE_T1: usize = offsetof<Sample>("t1");
export const SAMPLE_T2: usize = offsetof<Sample>("t2");
export const SAMPLE_T3: usize = offsetof<Sample>("t3");
export const SAMPLE_T4: usize = offsetof<Sample>("t4");
export const SAMPLE_OFFSET: usize = offsetof<Sample>("offset");
export const SAMPLE_DELAY: usize = offsetof<Sample>("delay");
export const SAMPLE_DISPERSION: usize = offsetof<Sample>("dispersion");
export const SAMPLE_ROOT_DELAY: usize = offsetof<Sample>("rootDelay");
export const SAMPLE_ROOT_DISPERSION: usize = offsetof<Sample>("rootDispersion");
export const SAMPLE_ROOT_DISTANCE: usize = offsetof<Sample>("rootDistance");
export const SAMPLE_PROBLEMS: usize = offsetof<Sample>("problems");
export const SAMPLE_INTERLEAVED: usize = offsetof<Sample>("interleaved");
export const SAMPLE_AUTHENTICATED: usize = offsetof<Sample>("authenticated");
export const SAMPLE_SERVER_COOKIE: usize = offsetof<Sample>("serverCookie");
export const CANDIDATE_MID: usize = offsetof<Candidate>("mid");
export const CANDIDATE_DISTANCE: usize = offsetof<Candidate>("distance");
export const CANDIDATE_TRUECHIMER: usize = offsetof<Candidate>("truechimer");
export const CANDIDATE_SIZE: usize = offsetof<Candidate>();
export const NTS_NAKS: usize = offsetof<Session>("naks");

// --- cold surface (hosts/browser/binding.ts) ---
/** Forget every string and array that crossed. */
export function coldReset(): void {
  __reset();
}
export { refidText, kissMeaning } from "./proto/refid";
export { keRead, keWrite, keFaultText, keRecordText, keErrorText } from "./proto/ke";
