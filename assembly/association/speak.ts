// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A packet in which we tell the time as a peer does: our system variables, and a transmit timestamp that is nearly a secret.
 *
 * The bits of a timestamp below the clock's precision are random (RFC 5905 §6), the transmit timestamp differs from all that
 * it could be confused with, and without synchronisation the packet says so (leap 3, stratum 0). Tested in symmetric.test.ts.
 */

import { Exchange } from "./exchange";
import { System, systemOut, systemUpdate } from "./system";
import { SOURCES } from "../discipline/memory";
import { Header, LEAP_UNSYNCHRONISED, STRATUM_UNSYNCHRONISED, writeHeader } from "../proto/header";
import { Interval, Timestamp, shortAbove } from "../proto/timestamp";
import { slotPackets } from "../server/slots";

/** Reference identifiers of the sources, as their addresses make them. */
const refids: usize = memory.data(SOURCES * 4, 4);
const header = changetype<Header>(memory.data(offsetof<Header>(), 8));

/** The reference identifier that a source's address makes; told by the host when it knows. */
export function sourceRefid(index: i32, refid: u32): void {
  store<u32>(refids + (<usize>(index & (SOURCES - 1)) << 2), refid);
}

/** log2 s of a precision, rounded up. */
function exponentOf(precision: Interval): i32 {
  return precision <= 1 ? -32 : 32 - <i32>clz<u64>(<u64>precision - 1);
}

/** What is to be echoed. */
@unmanaged
export class Speech {
  origin: Timestamp;
  receive: Timestamp;

  /** Write the packet into slot 0; returns its transmit timestamp. `last`: that of our last packet. */
  write(association: Exchange, now: u64, random: u64, wall: Timestamp, last: Timestamp): Timestamp {
    const exponent = exponentOf(association.precision);
    const fuzz = random & ((<u64>1 << <u64>max(0, min(32 + exponent, 31))) - 1);
    let transmit = (wall & ~((<u64>1 << <u64>max(0, min(32 + exponent, 31))) - 1)) | fuzz;
    // MUST differ, or a packet could answer itself, or its predecessor's answer this one.
    while (transmit == 0 || transmit == this.origin || transmit == this.receive || transmit == last) transmit += 1;
    describe(now, wall);
    header.version = association.version;
    header.mode = association.mode;
    header.poll = association.poll;
    header.precision = <i8>exponent;
    header.originTime = this.origin;
    header.receiveTime = this.receive;
    header.transmitTime = transmit;
    writeHeader(slotPackets, header);
    return transmit;
  }
}

/** The one speech. */
export const speak = changetype<Speech>(memory.data(offsetof<Speech>(), 8));

/** RFC 5905 §7.3: an uncalibrated local clock, "LOCL". */
const REFID_LOCAL: u32 = 0x4c4f434c;

/** Our system variables. A clock that is its own reference (systemLocal) vouches for itself, at the stratum that was asked for. */
function describe(now: u64, wall: Timestamp): void {
  systemUpdate(now);
  const system = changetype<System>(systemOut());
  const vouches = (system.peer >= 0 || system.local != 0) && system.stratum < STRATUM_UNSYNCHRONISED;
  header.leap = <u8>(vouches ? system.leap : LEAP_UNSYNCHRONISED);
  header.stratum = <u8>(vouches ? system.stratum : 0);
  header.rootDelayShort = vouches ? shortAbove(system.rootDelay) : 0;
  header.rootDispersionShort = vouches ? shortAbove(system.rootDispersion) : 0;
  header.refid = !vouches ? 0 : system.peer >= 0 ? load<u32>(refids + (<usize>system.peer << 2)) : REFID_LOCAL;
  header.referenceTime = vouches ? wall - (now - system.updated) : 0;
}
