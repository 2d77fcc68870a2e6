// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The server's answer to one request, written over it (RFC 5905 §8, §9.2): modes 3 and 1, versions 1 to 4. Version 5 is v5.ts'.
 *
 * It never answers modes 0, 2, 4, 5, 6 and 7, as two servers would then answer each other for ever, never a malformed
 * request, and never with more octets than it was asked with. It keeps no state about clients; what does (limits, log, interleaved mode) is
 * around it, in answer.ts.
 *
 * Tested in respond.test.ts; against chronyd, ntpdig and others in tests/interop.
 */

import { AT_FLAGS, AT_ORIGIN, AT_POLL, AT_PRECISION, AT_RECEIVE, AT_REFERENCE, AT_REFID, AT_ROOT_DELAY } from "../proto/header";
import { AT_ROOT_DISPERSION, AT_STRATUM, AT_TRANSMIT, HEADER_LENGTH, flagsOf, modeOf, versionOf } from "../proto/header";
import { MODE_CLIENT, MODE_SERVER, MODE_SYMMETRIC_ACTIVE, MODE_SYMMETRIC_PASSIVE, read32, write32, write64 } from "../proto/header";
import { LEAP_UNSYNCHRONISED } from "../proto/header";
import { Incoming } from "./incoming";
import { REFID_SMEARED, leapToTell } from "./leap";
import { dispersionAt, isSynchronised } from "./standing";
import { Trailer, readTrailer } from "../proto/extension";
import { answerFields } from "../proto/registry";
import { serverMonoRoot } from "../proto/monoroot";
import { keyFind, keyHolds, leadOf } from "../proto/keys";
import { KISS_NTSN } from "../proto/nts";
import { openRequests } from "./ntsopen";
import { kissReply, planReply, sealReplies } from "./ntsreply";
import { NTS_MALFORMED, NTS_TAKEN, NTS_VERIFIED, readNts, requestCount, requestForget, requestOf, requestWipe } from "./ntsrequest";
import { limitPoll } from "./ratelimit";
import { beginResponse5, kiss5, refuse5, respondHeader5 } from "./v5";
import { prepareFields5 } from "./v5fields";
import { AT_TIMESCALE, POLL_NEVER, UPGRADE_MARK, VERSION_5 } from "../proto/v5";
import { Interval, Timestamp, shortAbove } from "../proto/timestamp";

/** What the server says of its own time. The host fills it through the exported SERVER_* offsets. */
@unmanaged
export class Server {
  leap: u8;
  /** 1..15; 0 or 16 and above: not synchronised. */
  stratum: u8;
  /** log2 s */
  precision: i8;
  refid: u32;
  rootDelay: Interval;
  rootDispersion: Interval;
  referenceTime: Timestamp;
  /** Identifies the run of the monotonic clock, for the mono-root field. */
  monoEpoch: u32;
  /** What to add to the receive time to get the time on the clock that never steps. */
  monoOffset: Interval;
  /** As of when rootDispersion was told, and how fast it has grown since, s/s; 0: as told. */
  updated: Timestamp;
  growth: f64;
  /** Root distance beyond which it is not synchronised; 0: no limit. */
  maximumDistance: Interval;
  /** When the leap second comes, and how long before it is announced; 0: `leap` is announced whenever it is told. */
  leapAt: Timestamp;
  leapWindow: Interval;
  /** How long the leap second at `leapAt` is smeared (leap.ts): its shape, 0 for not at all, and what it is, 1 or 2. */
  smearLength: Interval;
  smearShape: u8;
  smearLeap: u8;
  /** TAI − UTC as of `updated`, s; 0: not known. */
  taiOffset: i32;
  /** UT1 − UTC, and 1 where it is known. */
  ut1Known: u8;
  ut1Offset: Interval;
}

/** Kiss code INIT: not yet synchronised (RFC 5905 §7.4). */
const REFID_INIT: u32 = 0x494e4954;
const MAXIMUM_VERSION: i32 = 4;
/** Kiss codes after which a client is not to ask any more (RFC 5905 §7.4). */
const KISS_DENY: u32 = 0x44454e59;
const KISS_RSTR: u32 = 0x52535452;
const KISS_RATE: u32 = 0x52415445;
/** Version 4, mode 4: who asks so may be told that version 5 is spoken. */
const MARKED_FLAGS: u8 = 0x24;
/** A header and a key identifier of zero. */
const CRYPTO_NAK_REPLY: i32 = HEADER_LENGTH + 4;

/** A datagram from nobody knows where. */
const unknown = changetype<Incoming>(memory.data(offsetof<Incoming>(), 8));
const trailer = changetype<Trailer>(memory.data(offsetof<Trailer>(), 8));

/** The mode that answers `mode`, or 0 when it must not be answered. */
function answeringMode(mode: i32): i32 {
  if (mode == MODE_CLIENT) return MODE_SERVER;
  if (mode == MODE_SYMMETRIC_ACTIVE) return MODE_SYMMETRIC_PASSIVE;
  return 0;
}

/** Is it of a version and mode that are ever answered? */
export function isAnswerable(packet: usize): bool {
  const version = versionOf(packet);
  if (version == VERSION_5) return modeOf(packet) == MODE_CLIENT;
  return answeringMode(modeOf(packet)) != 0 && version != 0 && version <= MAXIMUM_VERSION;
}

/** The same for a datagram of which nobody told the sender. */
export function respond(packet: usize, length: i32, received: Timestamp, server: Server): i32 {
  unknown.length = length;
  unknown.received = received;
  unknown.known = 0;
  unknown.smear = 0;
  unknown.refused = 0;
  unknown.stamped = 0;
  // Whoever stamps it knows no scale but the clock's.
  if (length >= HEADER_LENGTH && versionOf(packet) == VERSION_5) store<u8>(packet, 0, AT_TIMESCALE);
  return respondTo(packet, unknown, server);
}

/**
 * Turn the request at `packet` into its reply. Returns the reply's length, 0 for no answer.
 *
 * Transmit timestamp and, under NTS, the seal over it are left to {@link stampTransmit}, as late as can be.
 */
function respondTo(packet: usize, from: Incoming, server: Server): i32 {
  if (requestCount() > 0) requestForget(packet);
  const length = beginResponse(packet, from, server);
  if (length != LATER) return length;
  openRequests();
  return finishResponse(packet, from, server);
}

/** {@link beginResponse} took an NTS request: to be opened with others, and then finished. */
export const LATER: i32 = -1;

/**
 * The first half of {@link respondTo}: the whole of it but for NTS requests, which are only read, and for which this says
 * {@link LATER}. After `openRequests` the second half is {@link finishResponse}.
 */
export function beginResponse(packet: usize, from: Incoming, server: Server): i32 {
  const length = from.length;
  if (length < HEADER_LENGTH || (length & 3) != 0) return 0;
  const version = versionOf(packet);
  const mode = answeringMode(modeOf(packet));
  if (version == VERSION_5 && mode == MODE_SERVER) return beginResponse5(packet, from, server);
  if (mode == 0 || version == 0 || version > MAXIMUM_VERSION) return 0;
  let replyLength = HEADER_LENGTH;
  if (length > HEADER_LENGTH) {
    replyLength = respondTrailer(packet, version, from, server);
    if (replyLength <= 0) return replyLength;
  }
  respondHeader(packet, flagsOf(0, version, mode), from, server);
  return replyLength;
}

/** Fields and MAC of the request; 0 when malformed, LATER for NTS. */
function respondTrailer(packet: usize, version: i32, from: Incoming, server: Server): i32 {
  if (!readTrailer(packet, from.length, version, trailer) || trailer.cryptoNak != 0) return 0;
  const nts = readNts(packet, from.length, version, modeOf(packet), trailer);
  if (nts == NTS_TAKEN) return LATER;
  if (nts == NTS_MALFORMED) return 0;
  if (trailer.macLength != 0 && !checkMac(packet, version, from, trailer)) {
    from.refused = 1;
    store<u32>(packet + HEADER_LENGTH, 0);
    return CRYPTO_NAK_REPLY;
  }
  prepareFields(from.received, server);
  // The request's own MAC was as long as the answer's will be.
  return answerFields(packet, trailer) + trailer.macLength;
}

/** Whether the request's MAC is that of a key of ours, with which the answer will be signed (answer.ts). */
export function checkMac(packet: usize, version: i32, from: Incoming, trailer: Trailer): bool {
  // Who calls respond() has no place to keep the key in.
  if (changetype<usize>(from) == changetype<usize>(unknown)) return false;
  const key = keyFind(read32(packet + <usize>(trailer.macStart + leadOf(version))));
  if (key < 0 || !keyHolds(key, packet, version, trailer)) return false;
  from.key = key + 1;
  from.authenticated = 1;
  return true;
}

/** What the handlers of fields will say. */
function prepareFields(received: Timestamp, server: Server): void {
  serverMonoRoot.rootDelay = server.rootDelay;
  serverMonoRoot.rootDispersion = server.rootDispersion;
  serverMonoRoot.receive = received + <u64>server.monoOffset;
  serverMonoRoot.epoch = server.monoEpoch;
}

/** The second half for an NTS request that `openRequests` has judged: its answer, or the kiss NTSN. */
export function finishResponse(packet: usize, from: Incoming, server: Server): i32 {
  const request = requestOf(packet);
  if (changetype<usize>(request) == 0) return 0;
  const version = versionOf(packet);
  if (request.state != NTS_VERIFIED) {
    if (version == VERSION_5) {
      const length = request.length + request.behind;
      requestWipe(request);
      return refuse5(packet, length, from);
    }
    from.refused = 1;
    kissHeader(packet, version, MODE_SERVER, KISS_NTSN);
    return kissReply(request);
  }
  prepareFields(from.received, server);
  if (version == VERSION_5) prepareFields5(packet, from, server);
  from.authenticated = 2;
  const length = planReply(request);
  if (length == 0) requestWipe(request);
  else if (version == VERSION_5) respondHeader5(packet, from, server);
  else respondHeader(packet, flagsOf(0, version, MODE_SERVER), from, server);
  return length;
}

/** All of the header but the transmit timestamp. */
function respondHeader(packet: usize, flags: u8, from: Incoming, server: Server): void {
  const received = from.received;
  const dispersion = dispersionAt(server, received);
  const synchronised = isSynchronised(server, dispersion);
  const leap = synchronised ? leapToTell(server, received) : <u8>LEAP_UNSYNCHRONISED;
  // The client's transmit timestamp comes back as origin; whatever it is, it proves that we saw the request.
  const origin = load<u64>(packet + AT_TRANSMIT);
  // A client of version 4 asks whether we speak a draft of version 5.
  const marked = load<u64>(packet + AT_REFERENCE) == bswap<u64>(UPGRADE_MARK) && flags == MARKED_FLAGS;
  store<u8>(packet + AT_FLAGS, flags | (leap << 6));
  store<u8>(packet + AT_STRATUM, synchronised ? server.stratum : 0);
  // AT_POLL stays as the client sent it.
  store<i8>(packet + AT_PRECISION, server.precision);
  write32(packet + AT_ROOT_DELAY, shortAbove(server.rootDelay));
  write32(packet + AT_ROOT_DISPERSION, shortAbove(dispersion));
  write32(packet + AT_REFID, synchronised ? (from.smear != 0 ? REFID_SMEARED : server.refid) : REFID_INIT);
  if (!marked) write64(packet + AT_REFERENCE, synchronised ? server.referenceTime + <u64>from.smear : 0);
  store<u64>(packet + AT_ORIGIN, origin);
  write64(packet + AT_RECEIVE, received + <u64>from.smear);
}

/** Complete a reply, and seal it if it is an NTS answer: MUST be the last thing that happens to it before it is sent. */
export function stampTransmit(packet: usize, transmit: Timestamp): void {
  write64(packet + AT_TRANSMIT, transmit);
  if (requestCount() > 0) sealReplies(packet);
}

/**
 * Turn the request into a kiss-o'-death of `code` (four ASCII letters) instead of an answer. Returns its length, 48, or 0
 * when it must not be answered at all.
 */
export function respondKiss(packet: usize, length: i32, code: u32): i32 {
  if (length < HEADER_LENGTH || (length & 3) != 0) return 0;
  const version = versionOf(packet);
  const mode = answeringMode(modeOf(packet));
  if (version == VERSION_5 && mode == MODE_SERVER) return kiss5(packet, length, code == KISS_DENY || code == KISS_RSTR ? POLL_NEVER : limitPoll() + 1);
  if (mode == 0 || version == 0 || version > MAXIMUM_VERSION) return 0;
  if (!readTrailer(packet, length, version, trailer) || trailer.cryptoNak != 0) return 0;
  kissHeader(packet, version, mode, code);
  return HEADER_LENGTH;
}

function kissHeader(packet: usize, version: i32, mode: i32, code: u32): void {
  const origin = load<u64>(packet + AT_TRANSMIT);
  // A client that is told RATE takes its new interval from here, if that is longer than its own.
  const own = load<i8>(packet + AT_POLL);
  const least = code == KISS_RATE ? limitPoll() : 0;
  const poll = least > 0 && least > <i32>own ? <i8>least : own;
  memory.fill(packet, 0, HEADER_LENGTH);
  store<u8>(packet + AT_FLAGS, flagsOf(LEAP_UNSYNCHRONISED, version, mode));
  store<i8>(packet + AT_POLL, poll);
  write32(packet + AT_REFID, code);
  store<u64>(packet + AT_ORIGIN, origin);
  // Receive and transmit MUST be non-zero for many clients; the origin tells nothing they do not know.
  store<u64>(packet + AT_RECEIVE, origin);
  store<u64>(packet + AT_TRANSMIT, origin);
}
