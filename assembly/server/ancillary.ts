// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the kernel tells beside a datagram: when it came or left, and at which of our addresses (control messages of Linux).
 *
 * Unknown messages are skipped, a broken one ends the walk; nothing outside the given octets is read.
 * Tested in mmsg.test.ts, against messages that a C program made.
 */

import { Timestamp } from "../proto/timestamp";

/** Octets of an mmsghdr and of a cmsghdr. */
export const MMSG_SIZE: usize = 64;
export const CONTROL_HEADER: usize = 16;
/** Room for a stamp, an address, and what the error queue tells of a datagram. */
export const CONTROL_IN: usize = 192;

export const LEVEL_IP: i32 = 0;
export const LEVEL_SOCKET: i32 = 1;
export const LEVEL_IPV6: i32 = 41;
/** SO_TIMESTAMPNS: a software stamp, of both ways. */
export const TYPE_STAMP: i32 = 35;
/** SO_TIMESTAMPING, and its bits that ask for a stamp when the datagram is handed to the device, and by the device. */
export const TYPE_STAMPS: i32 = 37;
export const STAMP_TRANSMIT: u32 = 2;
export const STAMP_TRANSMIT_CARD: u32 = 1;
/** Which interface took the receive stamp, and how long the frame was. */
const TYPE_STAMPER: i32 = 58;
export const TYPE_IP_PKTINFO: i32 = 8;
export const TYPE_IPV6_PKTINFO: i32 = 50;
const TYPE_IP_ERROR: i32 = 11;
const TYPE_IPV6_ERROR: i32 = 25;
/** sock_extended_err: an entry of the error queue that is a transmit stamp. */
const ORIGIN_STAMP: u8 = 4;

/** Seconds from 1900-01-01 to 1970-01-01. */
const UNIX_EPOCH: i64 = 2208988800;
/** Exact for what is below a second; and a product costs less than a quotient of integers. */
const FRACTION_PER_NS: f64 = 4.294967296;

/** What was found. */
@unmanaged
export class Controls {
  /** The kernel's software stamp; 0: none. */
  stamp: Timestamp;
  /** Our address that was asked, octets as they lie; IPv4 in the low half of `low`. */
  high: u64;
  low: u64;
  /** Of that address: 4, 6, or 0 where it was not told or cannot be answered from. */
  version: i32;
  /** The interface it came by. */
  device: u32;
  /** This is from the error queue and tells of a transmit stamp. */
  isTransmit: u8;
  /** The network card's stamp, by its own clock; 0: none. */
  card: Timestamp;
  /** The interface that the card's stamp is from, a card under a bond rather than that; 0: not told. */
  stamper: u32;
  /** Octets of the frame that a card stamped; 0: not told. */
  frame: u32;
}

/** The timespec at `at` as a timestamp. */
export function timespecAt(at: usize): Timestamp {
  const fraction = <i64>nearest<f64>(<f64>load<i64>(at, 8) * FRACTION_PER_NS);
  return (<u64>(load<i64>(at) + UNIX_EPOCH) << 32) + <u64>fraction;
}

/** Forget what was told of cards, before messages are read that may tell of them: most servers have none, and need not. */
export function forgetCard(controls: Controls): void {
  controls.card = 0;
  controls.stamper = 0;
  controls.frame = 0;
  controls.device = 0;
}

/** Walk the control messages in `length` octets at `at`. */
export function readControls(at: usize, length: i32, controls: Controls): void {
  controls.stamp = 0;
  controls.version = 0;
  controls.isTransmit = 0;
  let rest = <i64>length;
  while (rest >= <i64>CONTROL_HEADER) {
    const size = load<i64>(at);
    if (size < <i64>CONTROL_HEADER || size > rest) return;
    readControl(at, <i32>size, controls);
    const step = (size + 7) & ~7;
    at += <usize>step;
    rest -= step;
  }
}

function readControl(at: usize, size: i32, controls: Controls): void {
  const level = load<i32>(at, 8);
  const type = load<i32>(at, 12);
  const data = at + CONTROL_HEADER;
  const room = size - <i32>CONTROL_HEADER;
  if (level == LEVEL_SOCKET && type == TYPE_STAMP && room >= 16) {
    // All zero means "not taken", never 1970.
    if ((load<u64>(data) | load<u64>(data, 8)) != 0) controls.stamp = timespecAt(data);
  } else if (level == LEVEL_IP && type == TYPE_IP_PKTINFO && room >= 12) {
    readInfo4(data, controls);
  } else if (level == LEVEL_IPV6 && type == TYPE_IPV6_PKTINFO && room >= 20) {
    readInfo6(data, controls);
  } else if (room >= 16 && ((level == LEVEL_IP && type == TYPE_IP_ERROR) || (level == LEVEL_IPV6 && type == TYPE_IPV6_ERROR))) {
    controls.isTransmit = load<u8>(data, 4) == ORIGIN_STAMP ? 1 : 0;
  } else if (level == LEVEL_SOCKET && type == TYPE_STAMPS && room >= 48) {
    readStamps(data, controls);
  } else if (level == LEVEL_SOCKET && type == TYPE_STAMPER && room >= 8) {
    controls.stamper = load<u32>(data);
    controls.frame = load<u32>(data, 4);
  }
}

/** scm_timestamping: the kernel's stamp, one that is no longer used, the card's. All zero means "not taken". */
function readStamps(data: usize, controls: Controls): void {
  if ((load<u64>(data) | load<u64>(data, 8)) != 0) controls.stamp = timespecAt(data);
  if ((load<u64>(data, 32) | load<u64>(data, 40)) != 0) controls.card = timespecAt(data + 32);
}

/** The middle field is the kernel's choice of one of our own addresses, also where a group or a broadcast address was asked. */
function readInfo4(data: usize, controls: Controls): void {
  const ours = load<u32>(data, 4);
  controls.device = load<u32>(data);
  if (ours == 0) return;
  controls.version = 4;
  controls.high = 0;
  controls.low = <u64>ours;
}

function readInfo6(data: usize, controls: Controls): void {
  const mapped = load<u64>(data) == 0 && load<u32>(data, 8) == 0xffff0000;
  controls.device = load<u32>(data, 16);
  // A group (ff00::/8) is no address to answer from. Of IPv4 the other message tells, and tells it better: this one names a
  // broadcast address as it was asked, and the kernel would let an answer leave from there.
  if (mapped || controls.version == 4 || load<u8>(data) == 0xff) return;
  controls.version = 6;
  controls.high = load<u64>(data);
  controls.low = load<u64>(data, 8);
}
