// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One request and its reply (client mode, RFC 5905 §8): write the request, read what comes, say what it is.
 *
 * The request tells nothing about this host: all zero but version, mode and a random transmit timestamp, so that who does
 * not see the request cannot forge its answer and who sees it learns nothing (draft-ietf-ntp-data-minimization). The
 * true t1 stays in the {@link Exchange}.
 *
 * Nothing here waits, retries or gives up: hosts/common/client/inquiry.ts does, and association.ts for a continuous client. Tested in exchange.test.ts.
 */

import { Authentication, authenticate, isAuthentic, AUTH_NONE } from "./authentic";
import { NOT_AN_ANSWER, TEST5_AUTHENTICATION, TESTA_KISS, TESTC_DELAY, TESTD_MALFORMED } from "./check";
import { checkKiss, checkMode, checkRoot, checkServer, checkTimestamps } from "./check";
import { Sample, delayOf, driftOver, offsetOf, rootDistanceOf } from "./sample";
import { AT_ORIGIN, AT_POLL, AT_PRECISION, AT_RECEIVE, AT_REFERENCE, AT_TRANSMIT, HEADER_LENGTH, flagsOf, readHeader, write64 } from "../proto/header";
import { Trailer, readTrailer } from "../proto/extension";
import { readFields } from "../proto/registry";
import { UPGRADE_MARK, VERSION_5, time32ToInterval } from "../proto/v5";
import { replyRead5, requestWrite5 } from "./v5exchange";
import { replyMonoRoot, writeMonoRootRequest } from "../proto/monoroot";
import { Interval, Timestamp, addSaturating, elapsed, intervalFromLog2, shortToInterval } from "../proto/timestamp";

/** Ask for chrony's mono-root field. */
export const WANT_MONO_ROOT: u32 = 1;

/** NTPv5: ask for reference identifiers, the chunk that begins at `chunk`. What else may be asked for is in v5fields.ts. */
export const WANT_REFERENCE_IDS: u32 = 2;

/** What the client knows of the request it sent. The host fills it through the exported EXCHANGE_* offsets. */
@unmanaged
export class Exchange extends Authentication {
  mode: u8;
  poll: i8;
  /** Which optional fields to ask for: WANT_* bits. */
  wants: u32;
  /** The random transmit timestamp that the reply must bring back; MUST NOT be zero. */
  origin: Timestamp;
  /** When the request really left. */
  t1: Timestamp;
  /** When the reply came. */
  t4: Timestamp;
  /** Transmit timestamp of the reply before, 0 for none. */
  previousTransmit: Timestamp;
  /** Precision of the local clock. */
  precision: Interval;
  /** Random receive timestamp that an interleaved reply brings back (RFC 9769 §2); 0: only a basic reply is wanted. */
  echo: Timestamp;
  /** Of the exchange that an interleaved reply completes: its t1, t2 and t4. */
  savedT1: Timestamp;
  savedT2: Timestamp;
  savedT4: Timestamp;
  /** 1 when the reply before was interleaved: its transmit timestamp is then compared with interleaved ones only. */
  previousInterleaved: u8;
  /** NTPv4: 1 to ask, by a mark, whether the server speaks NTPv5. */
  marked: u8;
  // NTPv5 alone:
  /** Which draft to name (proto/v5draft.ts). */
  draft: u8;
  /** 1: ask for interleaved mode, also where there is nothing to complete yet. */
  wantsInterleaved: u8;
  chunk: u16;
  /** What the server calls the exchange that an interleaved reply completes. */
  savedCookie: u64;
}

// What a datagram turned out to be.
/** No answer to our request; go on waiting. */
export const VERDICT_IGNORE: i32 = 0;
/** An answer; its problems say whether it is fit for use. */
export const VERDICT_SAMPLE: i32 = 1;
/** A kiss-o'-death from the server we asked. */
export const VERDICT_KISS: i32 = 2;

/** draft-ietf-ntp-data-minimization §3: a precision that tells nothing. */
const PRECISION_UNTOLD: i8 = 32;

const trailer = changetype<Trailer>(memory.data(offsetof<Trailer>(), 8));

/** Write the request at `packet`. Returns its length; 0 when it cannot be authenticated, or this build has not its version. */
export function requestWrite(packet: usize, exchange: Exchange): i32 {
  if (!isDefined(PLAIN) && <i32>exchange.version == VERSION_5) return isDefined(PAGE) ? 0 : requestWrite5(packet, exchange);
  memory.fill(packet, 0, HEADER_LENGTH);
  store<u8>(packet, flagsOf(0, exchange.version, exchange.mode));
  store<i8>(packet + AT_POLL, exchange.poll);
  store<i8>(packet + AT_PRECISION, PRECISION_UNTOLD);
  write64(packet + AT_TRANSMIT, exchange.origin);
  if (isDefined(PLAIN)) return authenticate(packet, HEADER_LENGTH, exchange);
  if (exchange.marked) write64(packet + AT_REFERENCE, UPGRADE_MARK);
  if (exchange.echo != 0) {
    // What the server knows our last exchange by. To nobody else does it say anything.
    write64(packet + AT_ORIGIN, exchange.savedT2);
    write64(packet + AT_RECEIVE, exchange.echo);
  }
  let length = HEADER_LENGTH;
  if (exchange.version >= 4 && (exchange.wants & WANT_MONO_ROOT) != 0) {
    length += writeMonoRootRequest(packet + <usize>length);
  }
  return authenticate(packet, length, exchange);
}

/**
 * Judge the datagram of `length` octets at `packet` as a reply to `exchange`, into `sample`.
 *
 * Returns a VERDICT_*; `sample.problems` tells why. The host has set `exchange.t4` before.
 */
export function replyRead(packet: usize, length: i32, exchange: Exchange, sample: Sample): i32 {
  sample.problems = TESTD_MALFORMED;
  if (!isDefined(PLAIN)) {
    sample.authenticated = 0;
    sample.markReturned = 0;
  }
  if (length < HEADER_LENGTH) return VERDICT_IGNORE;
  if (!isDefined(PLAIN) && <i32>exchange.version == VERSION_5) return isDefined(PAGE) ? VERDICT_IGNORE : replyRead5(packet, length, exchange, sample, trailer);
  readHeader(packet, sample);
  sample.problems = readTrailerOf(packet, length, sample);
  sample.problems |= checkMode(sample, exchange.mode, exchange.version);
  sample.problems |= checkOrigin(exchange, sample);
  if ((sample.problems & NOT_AN_ANSWER) != 0) return VERDICT_IGNORE;
  // Last, as it costs most: who does not know our origin gets no work out of us.
  if (!authenticTo(packet, exchange, sample)) return VERDICT_IGNORE;
  if (!isDefined(PLAIN)) {
    sample.problems |= readFieldsOf(packet);
    if ((sample.problems & NOT_AN_ANSWER) != 0) return VERDICT_IGNORE;
  }
  sample.problems |= checkKiss(sample);
  takeMark(exchange, sample);
  // An interleaved reply's transmit timestamp is that of the reply before: the server may have learned more since.
  sample.problems |= checkServer(sample, !isDefined(PLAIN) && sample.interleaved ? sample.receiveTime : sample.transmitTime);
  measure(exchange, sample, false);
  return (sample.problems & TESTA_KISS) != 0 ? VERDICT_KISS : VERDICT_SAMPLE;
}

/** The server speaks NTPv5. What it says so with is no reference time. */
function takeMark(exchange: Exchange, sample: Sample): void {
  if (isDefined(PLAIN) || !exchange.marked || sample.referenceTime != UPGRADE_MARK) return;
  sample.markReturned = 1;
  sample.referenceTime = 0;
}

/** test1..test3, and which of the two timestamps that nobody can guess came back: that tells the mode of the reply. */
function checkOrigin(exchange: Exchange, sample: Sample): u32 {
  const interleaved = !isDefined(PLAIN) && exchange.echo != 0 && sample.originTime == exchange.echo;
  const comparable = isDefined(PLAIN) || interleaved == (exchange.previousInterleaved != 0);
  if (!isDefined(PLAIN)) sample.interleaved = interleaved ? 1 : 0;
  return checkTimestamps(sample, interleaved ? exchange.echo : exchange.origin, comparable ? exchange.previousTransmit : 0);
}

/** What follows the header, taken apart: testD when malformed, test5 for a crypto-NAK. */
export function readTrailerOf(packet: usize, length: i32, sample: Sample): u32 {
  if (!isDefined(PLAIN)) replyMonoRoot.present = 0;
  if (!readTrailer(packet, length, sample.version, trailer)) return TESTD_MALFORMED;
  return trailer.cryptoNak ? TEST5_AUTHENTICATION : 0;
}

/** Whether the packet just taken apart is authentic, where that is asked for; else test5. */
export function authenticTo(packet: usize, by: Authentication, sample: Sample): bool {
  const authentic = isAuthentic(packet, sample.version, trailer, by);
  if (!isDefined(PLAIN)) sample.authenticated = authentic && by.auth != AUTH_NONE ? 1 : 0;
  if (!authentic) sample.problems |= TEST5_AUTHENTICATION;
  return authentic;
}

/** The fields that were vouched for, or all of a packet that nobody vouches for: testD when one is malformed. */
function readFieldsOf(packet: usize): u32 {
  return readFields(packet, trailer) ? 0 : TESTD_MALFORMED;
}

/**
 * What the frequencies of two clocks that are not disciplined yet may differ by, as a share of the time, 1/2^11: 488 ppm.
 * While peers wait for each other, that may look like a negative delay.
 */
const UNDISCIPLINED: i64 = 11;

/** Offset, delay, dispersion, root distance and testC. `patient`: the other side took its time to answer. */
export function measure(exchange: Exchange, sample: Sample, patient: bool): void {
  const before = !isDefined(PLAIN) && sample.interleaved != 0;
  const t1 = before ? exchange.savedT1 : exchange.t1;
  const t2 = before ? exchange.savedT2 : sample.receiveTime;
  const t3 = sample.transmitTime;
  const t4 = before ? exchange.savedT4 : exchange.t4;
  if (!isDefined(PLAIN)) keepTimes(sample, t1, t2, t4);
  sample.offset = offsetOf(t1, t2, t3, t4);
  sample.delay = delayOf(t1, t2, t3, t4);
  const precisions = addSaturating(intervalFromLog2(sample.precision), exchange.precision);
  sample.dispersion = addSaturating(precisions, driftOver(elapsed(t1, t4)));
  readRoot(sample, exchange.wants);
  sample.problems |= checkRoot(sample.rootDelay, sample.rootDispersion);
  if (!isDefined(PLAIN)) sample.rootDistance = rootDistanceOf(sample, exchange.precision);
  const leeway = patient ? abs(elapsed(t1, t4)) >> UNDISCIPLINED : 0;
  if (sample.delay < -precisions - leeway) sample.problems |= TESTC_DELAY;
  if (patient) sample.delay = max(sample.delay, exchange.precision);
  // The transmit timestamp of another reply than the one before would lie before that one's request (RFC 9769 §2).
  if (before && elapsed(t2, t3) < -precisions) sample.problems |= TESTC_DELAY;
}

/** For the host to read. */
function keepTimes(sample: Sample, t1: Timestamp, t2: Timestamp, t4: Timestamp): void {
  sample.t1 = t1;
  sample.t2 = t2;
  sample.t3 = sample.transmitTime;
  sample.t4 = t4;
  sample.corrected = 0;
}

/** Root delay and dispersion, from the finer field where the server sent it and we had asked for it. */
function readRoot(sample: Sample, wants: u32): void {
  const fine = !isDefined(PLAIN) && replyMonoRoot.present != 0 && (wants & WANT_MONO_ROOT) != 0;
  const five = !isDefined(PAGE) && <i32>sample.version == VERSION_5;
  const delay = five ? time32ToInterval(sample.rootDelayShort) : shortToInterval(sample.rootDelayShort);
  const dispersion = five ? time32ToInterval(sample.rootDispersionShort) : shortToInterval(sample.rootDispersionShort);
  sample.rootDelay = fine ? replyMonoRoot.rootDelay : delay;
  sample.rootDispersion = fine ? replyMonoRoot.rootDispersion : dispersion;
  if (isDefined(PLAIN)) return;
  sample.monoEpoch = fine ? replyMonoRoot.epoch : 0;
  sample.monoReceive = fine ? replyMonoRoot.receive : 0;
}
