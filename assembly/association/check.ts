// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What can be wrong with a reply: the packet tests of RFC 5905 §9.2 under their numbers, RFC 4330 §5 and ours by letter.
 *
 *   test1  duplicate: its transmit timestamp is that of the reply before
 *   test2  bogus: its origin is not the transmit timestamp of our request, bit for bit
 *   test3  invalid: an origin, receive or transmit timestamp of zero
 *   test4  access denied: a kiss of DENY or RSTR
 *   test5  authentication failed: a crypto-NAK
 *   test6  unsynchronised: leap 3, or stratum 0 or above 15
 *   test7  invalid header: root distance of 16 s or more, or a reference time after the transmit time
 *   testA  a kiss-o'-death of any code
 *   testB  a root delay or dispersion of one second or more (RFC 4330 §5, check 5)
 *   testC  a negative delay beyond the clocks' precision: the server spent longer than the whole round trip
 *   testD  malformed: shorter than a header, or what follows it is neither field nor MAC
 *   testE  another mode or a later version than a reply to our request has
 *   testG  a loop: the peer is synchronised to us
 *   testH  another time scale, or another era, than was asked for (NTPv5)
 *   testF  from another address or port than the one asked (the host sets it)
 *
 * This file judges; it does not decide what follows. Tested in check.test.ts.
 */

import { Header, LEAP_UNSYNCHRONISED, MODE_CLIENT, MODE_SERVER, MODE_SYMMETRIC_PASSIVE } from "../proto/header";
import { STRATUM_UNSYNCHRONISED } from "../proto/header";
import { Interval, elapsed } from "../proto/timestamp";

export const TEST1_DUPLICATE: u32 = 1 << 0;
export const TEST2_BOGUS: u32 = 1 << 1;
export const TEST3_INVALID: u32 = 1 << 2;
export const TEST4_DENIED: u32 = 1 << 3;
export const TEST5_AUTHENTICATION: u32 = 1 << 4;
export const TEST6_UNSYNCHRONISED: u32 = 1 << 5;
export const TEST7_HEADER: u32 = 1 << 6;
export const TESTA_KISS: u32 = 1 << 7;
export const TESTB_ROOT: u32 = 1 << 8;
export const TESTC_DELAY: u32 = 1 << 9;
export const TESTD_MALFORMED: u32 = 1 << 10;
export const TESTE_MODE: u32 = 1 << 11;
export const TESTF_SOURCE: u32 = 1 << 12;
export const TESTG_LOOP: u32 = 1 << 13;
export const TESTH_SCALE: u32 = 1 << 14;

/**
 * With any of these it is no answer to our request: anybody can send such a packet, so it MUST change nothing, not even
 * end the wait.
 */
export const NOT_AN_ANSWER: u32 = TEST2_BOGUS | TESTD_MALFORMED | TESTE_MODE | TESTF_SOURCE;

/** MAXDISP (RFC 5905 §7.2): no dispersion grows beyond it. */
const MAXIMUM_DISPERSION: Interval = 16 << 32;
/** "A cozy number like one second" is RFC 4330's infinity for root delay and dispersion. */
const RFC4330_INFINITY: Interval = 1 << 32;

const KISS_DENY: u32 = 0x44454e59;
const KISS_RSTR: u32 = 0x52535452;

/** testE: only the answering mode, in our version or an older one. */
export function checkMode(header: Header, requestMode: i32, requestVersion: i32): u32 {
  const wanted = requestMode == MODE_CLIENT ? MODE_SERVER : MODE_SYMMETRIC_PASSIVE;
  const version = <i32>header.version;
  return <i32>header.mode == wanted && version >= 1 && version <= requestVersion ? 0 : TESTE_MODE;
}

/** test1..test3. `origin` is the transmit timestamp of our request, `previous` that of the reply before (0: none). */
export function checkTimestamps(header: Header, origin: u64, previous: u64): u32 {
  let problems: u32 = 0;
  if (previous != 0 && header.transmitTime == previous) problems |= TEST1_DUPLICATE;
  if (header.originTime != origin) problems |= TEST2_BOGUS;
  if (header.originTime == 0 || header.receiveTime == 0 || header.transmitTime == 0) problems |= TEST3_INVALID;
  return problems;
}

/** testA and test4. */
export function checkKiss(header: Header): u32 {
  if (header.stratum != 0 || header.refid == 0) return 0;
  const denied = header.refid == KISS_DENY || header.refid == KISS_RSTR;
  return TESTA_KISS | (denied ? TEST4_DENIED : 0);
}

/** test6 and the times of test7: is this a server one can learn the time from? `told` is its time as it wrote the packet. */
export function checkServer(header: Header, told: u64): u32 {
  let problems: u32 = 0;
  const stratum = <i32>header.stratum;
  if (<i32>header.leap == LEAP_UNSYNCHRONISED || stratum == 0 || stratum >= STRATUM_UNSYNCHRONISED) {
    problems |= TEST6_UNSYNCHRONISED;
  }
  // A reference time of zero says "unknown"; it is before every transmit time.
  if (header.referenceTime != 0 && elapsed(told, header.referenceTime) > 0) problems |= TEST7_HEADER;
  return problems;
}

/** test7's distance and testB, on the values that will be used, whichever field told them. */
export function checkRoot(rootDelay: Interval, rootDispersion: Interval): u32 {
  let problems: u32 = 0;
  if ((rootDelay >> 1) + rootDispersion >= MAXIMUM_DISPERSION) problems |= TEST7_HEADER;
  if (rootDelay >= RFC4330_INFINITY || rootDispersion >= RFC4330_INFINITY) problems |= TESTB_ROOT;
  return problems;
}
