// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The NTPv3/v4 packet header (RFC 5905 §7.3), 48 octets in network order.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |LI | VN  |Mode |    Stratum    |     Poll      |   Precision   |
 * 4 |                          Root delay                           |
 * 8 |                       Root dispersion                         |
 * 12|                     Reference identifier                      |
 * 16|                     Reference timestamp                  (64) |
 * 24|                       Origin timestamp                   (64) |
 * 32|                      Receive timestamp                   (64) |
 * 40|                      Transmit timestamp                  (64) |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * Every bit pattern is a legal header: reading never fails and judges nothing (association/check.ts does). Callers MUST
 * have made sure of 48 octets. Tested in header.test.ts.
 */

import { Short, Timestamp } from "./timestamp";

export const HEADER_LENGTH: i32 = 48;

// Leap indicator.
export const LEAP_NONE: i32 = 0;
export const LEAP_UNSYNCHRONISED: i32 = 3;

// Association modes (RFC 5905 §3).
export const MODE_SYMMETRIC_ACTIVE: i32 = 1;
export const MODE_SYMMETRIC_PASSIVE: i32 = 2;
export const MODE_CLIENT: i32 = 3;
export const MODE_SERVER: i32 = 4;
export const MODE_BROADCAST: i32 = 5;

/** Stratum of a source that is not synchronised; on the wire it is sent as 0. */
export const STRATUM_UNSYNCHRONISED: i32 = 16;

// Where each field lies in a packet; for code that works in place.
export const AT_FLAGS: usize = 0;
export const AT_STRATUM: usize = 1;
export const AT_POLL: usize = 2;
export const AT_PRECISION: usize = 3;
export const AT_ROOT_DELAY: usize = 4;
export const AT_ROOT_DISPERSION: usize = 8;
export const AT_REFID: usize = 12;
export const AT_REFERENCE: usize = 16;
export const AT_ORIGIN: usize = 24;
export const AT_RECEIVE: usize = 32;
export const AT_TRANSMIT: usize = 40;

/** A decoded header, native byte order. Hosts reach its fields through the exported HEADER_* offsets. */
@unmanaged
export class Header {
  leap: u8;
  version: u8;
  mode: u8;
  stratum: u8;
  /** log2 s */
  poll: i8;
  /** log2 s */
  precision: i8;
  rootDelayShort: Short;
  rootDispersionShort: Short;
  refid: u32;
  referenceTime: Timestamp;
  originTime: Timestamp;
  receiveTime: Timestamp;
  transmitTime: Timestamp;
}

export function flagsOf(leap: i32, version: i32, mode: i32): u8 {
  return <u8>(((leap & 3) << 6) | ((version & 7) << 3) | (mode & 7));
}

export function modeOf(packet: usize): i32 {
  return <i32>load<u8>(packet) & 7;
}

export function versionOf(packet: usize): i32 {
  return (<i32>load<u8>(packet) >> 3) & 7;
}

export function read32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}

export function read64(at: usize): u64 {
  return bswap<u64>(load<u64>(at));
}

export function write32(at: usize, value: u32): void {
  store<u32>(at, bswap<u32>(value));
}

export function write64(at: usize, value: u64): void {
  store<u64>(at, bswap<u64>(value));
}

/** Decode 48 octets at `packet` into `header`. */
export function readHeader(packet: usize, header: Header): void {
  const flags = <u32>load<u8>(packet + AT_FLAGS);
  header.leap = <u8>(flags >> 6);
  header.version = <u8>((flags >> 3) & 7);
  header.mode = <u8>(flags & 7);
  header.stratum = load<u8>(packet + AT_STRATUM);
  header.poll = load<i8>(packet + AT_POLL);
  header.precision = load<i8>(packet + AT_PRECISION);
  header.rootDelayShort = read32(packet + AT_ROOT_DELAY);
  header.rootDispersionShort = read32(packet + AT_ROOT_DISPERSION);
  header.refid = read32(packet + AT_REFID);
  header.referenceTime = read64(packet + AT_REFERENCE);
  header.originTime = read64(packet + AT_ORIGIN);
  header.receiveTime = read64(packet + AT_RECEIVE);
  header.transmitTime = read64(packet + AT_TRANSMIT);
}

/** Encode `header` into 48 octets at `packet`. The mirror image of {@link readHeader}. */
export function writeHeader(packet: usize, header: Header): void {
  store<u8>(packet + AT_FLAGS, flagsOf(header.leap, header.version, header.mode));
  store<u8>(packet + AT_STRATUM, header.stratum);
  store<i8>(packet + AT_POLL, header.poll);
  store<i8>(packet + AT_PRECISION, header.precision);
  write32(packet + AT_ROOT_DELAY, header.rootDelayShort);
  write32(packet + AT_ROOT_DISPERSION, header.rootDispersionShort);
  write32(packet + AT_REFID, header.refid);
  write64(packet + AT_REFERENCE, header.referenceTime);
  write64(packet + AT_ORIGIN, header.originTime);
  write64(packet + AT_RECEIVE, header.receiveTime);
  write64(packet + AT_TRANSMIT, header.transmitTime);
}
