// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One NTPv5 request and its reply (draft-ietf-ntp-ntpv5 §6): the same as exchange.ts for the newer packet.
 *
 *   request   header: a random client cookie and little else │ draft │ reference ids? │ other fields? │ MAC or NTS? │ correction?
 *   reply     the cookie comes back; fit for use only if it says "synchronised", in the time scale asked for
 *
 * Nothing of a reply is read before cookie and authenticator have been found right; a flag "Auth NAK", which nobody can sign,
 * changes nothing but a mark of NTS'. Tested in v5.test.ts.
 */

import { authenticate } from "./authentic";
import { NOT_AN_ANSWER, TEST1_DUPLICATE, TEST2_BOGUS, TEST3_INVALID, TEST4_DENIED, TEST6_UNSYNCHRONISED } from "./check";
import { TESTA_KISS, TESTE_MODE, TESTH_SCALE } from "./check";
import { Exchange, VERDICT_IGNORE, VERDICT_KISS, VERDICT_SAMPLE, WANT_REFERENCE_IDS, authenticTo, measure, readTrailerOf } from "./exchange";
import { Sample } from "./sample";
import { WANT_CORRECTION, applyCorrection, details, forgetDetails, readDetails, writeCorrection, writeWanted } from "./v5fields";
import { FIELD_HEADER, Trailer, fieldLength, fieldSpan, fieldType } from "../proto/extension";
import { AT_FLAGS, HEADER_LENGTH, MODE_CLIENT, MODE_SERVER, STRATUM_UNSYNCHRONISED, flagsOf, read64, write64 } from "../proto/header";
import { AT_BITS, AT_CLIENT_COOKIE, AT_ERA, AT_SERVER_COOKIE, AT_TIMESCALE, BIT_INTERLEAVED, BIT_SYNCHRONISED } from "../proto/v5";
import { FIELD_IDS_REQUEST, FIELD_IDS_RESPONSE, POLL_NEVER, VERSION_5, bitsOf, eraOf, readHeader5, startField5 } from "../proto/v5";
import { writeDraft } from "../proto/v5draft";
import { FILTER_OCTETS } from "../proto/v5ids";

/** Octets of the filter asked for at once: four polls bring all of it. */
export const CHUNK: i32 = 128;
/** What a denied sample shows as its reference identifier. */
const KISS_DENY: u32 = 0x44454e59;

/** Write the request at `packet`. Returns its length; 0 when it cannot be authenticated. */
export function requestWrite5(packet: usize, exchange: Exchange): i32 {
  memory.fill(packet, 0, HEADER_LENGTH);
  store<u8>(packet + AT_FLAGS, flagsOf(0, VERSION_5, MODE_CLIENT));
  if (exchange.wantsInterleaved) store<u16>(packet, bswap<u16>(<u16>BIT_INTERLEAVED), AT_BITS);
  // With nothing to complete it is zero, and asks the server to remember this exchange.
  if (exchange.echo != 0) write64(packet + AT_SERVER_COOKIE, exchange.savedCookie);
  write64(packet + AT_CLIENT_COOKIE, exchange.origin);
  let length = HEADER_LENGTH + writeDraft(packet + HEADER_LENGTH, exchange.draft);
  if ((exchange.wants & WANT_REFERENCE_IDS) != 0) {
    const field = packet + <usize>length;
    memory.fill(field, 0, FIELD_HEADER + CHUNK);
    startField5(field, FIELD_IDS_REQUEST, FIELD_HEADER + CHUNK);
    store<u16>(field, bswap<u16>(exchange.chunk), 4);
    length += FIELD_HEADER + CHUNK;
  }
  length = writeWanted(packet, length, exchange.wants);
  const whole = authenticate(packet, length, exchange);
  if (whole == 0 || (exchange.wants & WANT_CORRECTION) == 0 || exchange.wantsInterleaved) return whole;
  return whole + writeCorrection(packet + <usize>whole);
}

/** Where the chunk of reference identifiers lies that the reply just read brought; 0: it brought none. */
export let chunkAt: usize = 0;

/** As {@link replyRead}, for NTPv5. The datagram has at least a header. */
export function replyRead5(packet: usize, length: i32, exchange: Exchange, sample: Sample, trailer: Trailer): i32 {
  chunkAt = 0;
  forgetDetails();
  readHeader5(packet, sample);
  const bits = bitsOf(packet);
  sample.interleaved = exchange.echo != 0 && (bits & BIT_INTERLEAVED) != 0 ? 1 : 0;
  sample.serverCookie = read64(packet + AT_SERVER_COOKIE);
  sample.problems = readTrailerOf(packet, length, sample);
  if (<i32>sample.mode != MODE_SERVER || <i32>sample.version != VERSION_5) sample.problems |= TESTE_MODE;
  if (sample.originTime != exchange.origin) sample.problems |= TEST2_BOGUS;
  if ((sample.problems & NOT_AN_ANSWER) != 0) return VERDICT_IGNORE;
  // Last, as it costs most: who does not know our cookie gets no work out of us.
  if (!authenticTo(packet, exchange, sample)) return VERDICT_IGNORE;
  if ((exchange.wants & WANT_REFERENCE_IDS) != 0) chunkAt = findChunk(packet, trailer.fieldsEnd);
  // A server that will not tell the time need not tell any: but to be told to go away is a kiss, and obeyed.
  if (sample.stratum == 0 && <i32>sample.poll == POLL_NEVER) {
    sample.refid = KISS_DENY;
    sample.problems |= TESTA_KISS | TEST4_DENIED;
  }
  sample.problems |= checkTimes(packet, exchange, sample) | checkServer5(bits, sample);
  measure(exchange, sample, false);
  readDetails(packet, trailer, exchange.wants, sample);
  sample.monoEpoch = details.monoEpoch;
  sample.monoReceive = details.monoReceive;
  applyCorrection(sample);
  return (sample.problems & TESTA_KISS) != 0 ? VERDICT_KISS : VERDICT_SAMPLE;
}

/** test1, test3 and testH. */
function checkTimes(packet: usize, exchange: Exchange, sample: Sample): u32 {
  let problems: u32 = 0;
  const comparable = (sample.interleaved != 0) == (exchange.previousInterleaved != 0);
  if (comparable && exchange.previousTransmit != 0 && sample.transmitTime == exchange.previousTransmit) problems |= TEST1_DUPLICATE;
  // Zero is "unknown" in every era.
  if (sample.originTime == 0 || sample.receiveTime == 0 || sample.transmitTime == 0) problems |= TEST3_INVALID;
  // All requests ask for UTC, which is scale 0.
  const told = <i32>load<u8>(packet + AT_TIMESCALE) == 0 && <i32>load<u8>(packet + AT_ERA) == eraOf(sample.receiveTime);
  return told || sample.stratum == 0 ? problems : problems | TESTH_SCALE;
}

/** test6. A leap indicator of 3 only says that nothing is known of leap seconds. */
function checkServer5(bits: i32, sample: Sample): u32 {
  const stratum = <i32>sample.stratum;
  const synchronised = (bits & BIT_SYNCHRONISED) != 0 && stratum != 0 && stratum < STRATUM_UNSYNCHRONISED;
  return synchronised ? 0 : TEST6_UNSYNCHRONISED;
}

function findChunk(packet: usize, fieldsEnd: i32): usize {
  for (let at = HEADER_LENGTH; at < fieldsEnd; at += fieldSpan(packet + <usize>at)) {
    const field = packet + <usize>at;
    if (fieldType(field) == FIELD_IDS_RESPONSE && fieldLength(field) == FIELD_HEADER + CHUNK) return field + FIELD_HEADER;
  }
  return 0;
}

/** Where the chunk after `chunk` begins. */
export function nextChunk(chunk: u16): u16 {
  return <u16>((<i32>chunk + CHUNK) & (FILTER_OCTETS - 1));
}
