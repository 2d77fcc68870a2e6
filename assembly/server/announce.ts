// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a broadcast server says unasked (RFC 5905 §3, mode 5): the header of an answer, without origin and receive timestamp.
 *
 * A server that is not synchronised says nothing. Who believes it should know a key: without one anybody on the network can
 * say the same. Tested in announce.test.ts.
 */

import { AT_FLAGS, AT_POLL, AT_PRECISION, AT_REFERENCE, AT_REFID, AT_ROOT_DELAY, AT_ROOT_DISPERSION, AT_STRATUM } from "../proto/header";
import { HEADER_LENGTH, LEAP_UNSYNCHRONISED, MODE_BROADCAST, STRATUM_UNSYNCHRONISED, flagsOf, write32, write64 } from "../proto/header";
import { Server, stampTransmit } from "./respond";
import { Timestamp, shortAbove } from "../proto/timestamp";

const VERSION: i32 = 4;

/** Write a broadcast that leaves at `transmit`, one each 2^`poll` s. Returns its length, 0 for silence. */
export function announce(packet: usize, poll: i32, transmit: Timestamp, server: Server): i32 {
  if (server.stratum == 0 || <i32>server.stratum >= STRATUM_UNSYNCHRONISED || server.leap == LEAP_UNSYNCHRONISED) return 0;
  memory.fill(packet, 0, HEADER_LENGTH);
  store<u8>(packet + AT_FLAGS, flagsOf(server.leap, VERSION, MODE_BROADCAST));
  store<u8>(packet + AT_STRATUM, server.stratum);
  store<i8>(packet + AT_POLL, <i8>poll);
  store<i8>(packet + AT_PRECISION, server.precision);
  write32(packet + AT_ROOT_DELAY, shortAbove(server.rootDelay));
  write32(packet + AT_ROOT_DISPERSION, shortAbove(server.rootDispersion));
  write32(packet + AT_REFID, server.refid);
  write64(packet + AT_REFERENCE, server.referenceTime);
  stampTransmit(packet, transmit);
  return HEADER_LENGTH;
}
