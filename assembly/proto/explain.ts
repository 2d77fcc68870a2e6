// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A packet told in words, one field a line: for people who look at what is on the wire. Cold surface.
 *
 * Takes any octets at all and says what is wrong with them where something is. Tested in explain.test.ts.
 */

import { HEADER_LENGTH, Header, readHeader } from "./header";
import { Trailer, fieldLength, fieldSpan, fieldType, readTrailer } from "./extension";
import { kissMeaning, referenceMeaning, refidText } from "./refid";
import { intervalToSeconds, shortToInterval } from "./timestamp";
import { MONO_ROOT_TYPE } from "./monoroot";
import { leadOf } from "./keys";
import { AT_ERA, AT_SERVER_COOKIE, AT_TIMESCALE, FIELD_DRAFT, FIELD_IDS_REQUEST, FIELD_IDS_RESPONSE, FIELD_PADDING, VERSION_5 } from "./v5";
import { CORRECTION_LENGTH, FIELD_CORRECTION, FIELD_MAC, FIELD_MONOTONIC, FIELD_REFERENCE_TIME, FIELD_SECONDARY, FIELD_SERVER_INFORMATION } from "./v5";
import { bitsOf, readHeader5, time32ToInterval } from "./v5";

const header = changetype<Header>(memory.data(offsetof<Header>(), 8));
const trailer = changetype<Trailer>(memory.data(offsetof<Trailer>(), 8));
/** Octets looked at: more than any datagram that travels in one piece over Ethernet. */
const CAPACITY: i32 = 2048;
const copy: usize = memory.data(CAPACITY, 8);

const LEAPS: StaticArray<string> = ["no warning", "last minute has 61 seconds", "last minute has 59 seconds", "clock not synchronised"];
const MODES: StaticArray<string> = ["reserved", "symmetric active", "symmetric passive", "client", "server", "broadcast", "control message", "private"];

/** Text of a leap indicator, 0..3. */
export function leapText(leap: i32): string {
  return LEAPS[leap & 3];
}

/** Text of an association mode, 0..7. */
export function modeText(mode: i32): string {
  return MODES[mode & 7];
}

function hex(value: u64, digits: i32): string {
  let text = "";
  for (let shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
    const digit = <i32>((value >> shift) & 15);
    text += String.fromCharCode(digit < 10 ? 48 + digit : 87 + digit);
  }
  return text;
}

function shortText(short: u32): string {
  return intervalToSeconds(shortToInterval(short)).toString() + " s";
}

/** 32.32 as two hexadecimal halves, the way packet dumps show it. */
function timeText(timestamp: u64): string {
  return timestamp == 0 ? "0 (unset)" : hex(timestamp >> 32, 8) + "." + hex(timestamp & 0xffffffff, 8);
}

function log2Text(exponent: i32): string {
  return exponent.toString() + " (2^" + exponent.toString() + " s)";
}

function refidLine(): string {
  const stratum = <i32>header.stratum;
  const text = refidText(header.refid, stratum);
  const meaning = stratum == 0 ? kissMeaning(text) : stratum == 1 ? referenceMeaning(text) : "";
  return hex(header.refid, 8) + (text.length ? " " + text : "") + (meaning.length ? " (" + meaning + ")" : "");
}

function fieldName(type: i32): string {
  if (type == 0x0104) return "NTS unique identifier";
  if (type == 0x0204) return "NTS cookie";
  if (type == 0x0304) return "NTS cookie placeholder";
  if (type == 0x0404) return "NTS authenticator and encrypted fields";
  if (type == 0x2005) return "UDP checksum complement";
  if (type == MONO_ROOT_TYPE) return "monotonic receive time and fine root delay";
  if (type == FIELD_DRAFT) return "draft identification";
  if (type == FIELD_PADDING) return "padding";
  if (type == FIELD_MAC) return "MAC";
  if (type == FIELD_SERVER_INFORMATION) return "server information";
  if (type == FIELD_CORRECTION) return "correction";
  if (type == FIELD_REFERENCE_TIME) return "reference timestamp";
  if (type == FIELD_MONOTONIC) return "monotonic receive timestamp";
  if (type == FIELD_SECONDARY) return "receive timestamp in another scale";
  if (type == FIELD_IDS_REQUEST || type == FIELD_IDS_RESPONSE) return "reference identifiers";
  return "unknown";
}

/** NTPv5's header, where it is another than that of NTPv4. */
function headerLines5(): string {
  readHeader5(copy, header);
  const bits = bitsOf(copy);
  const flags = ((bits & 1) != 0 ? " synchronised" : "") + ((bits & 2) != 0 ? " interleaved" : "") + ((bits & 4) != 0 ? " Auth NAK" : "");
  return "leap        " + header.leap.toString() + (header.leap == 3 ? " (not known)" : " (" + leapText(header.leap) + ")") + "\n" +
    "version     5\n" +
    "mode        " + header.mode.toString() + " (" + modeText(header.mode) + ")\n" +
    "stratum     " + header.stratum.toString() + "\n" +
    "poll        " + log2Text(header.poll) + "\n" +
    "precision   " + log2Text(header.precision) + "\n" +
    "root delay  " + intervalToSeconds(time32ToInterval(header.rootDelayShort)).toString() + " s\n" +
    "root disp.  " + intervalToSeconds(time32ToInterval(header.rootDispersionShort)).toString() + " s\n" +
    "time scale  " + load<u8>(copy, AT_TIMESCALE).toString() + "\n" +
    "era         " + load<u8>(copy, AT_ERA).toString() + "\n" +
    "flags       " + hex(<u64>bits, 4) + flags + "\n" +
    "server c.   " + hex(bswap<u64>(load<u64>(copy, AT_SERVER_COOKIE)), 16) + "\n" +
    "client c.   " + hex(header.originTime, 16) + "\n" +
    "receive     " + timeText(header.receiveTime) + "\n" +
    "transmit    " + timeText(header.transmitTime) + "\n";
}

function headerLines(): string {
  if (<i32>header.version == VERSION_5) return headerLines5();
  return "leap        " + header.leap.toString() + " (" + leapText(header.leap) + ")\n" +
    "version     " + header.version.toString() + "\n" +
    "mode        " + header.mode.toString() + " (" + modeText(header.mode) + ")\n" +
    "stratum     " + header.stratum.toString() + "\n" +
    "poll        " + log2Text(header.poll) + "\n" +
    "precision   " + log2Text(header.precision) + "\n" +
    "root delay  " + shortText(header.rootDelayShort) + "\n" +
    "root disp.  " + shortText(header.rootDispersionShort) + "\n" +
    "refid       " + refidLine() + "\n" +
    "reference   " + timeText(header.referenceTime) + "\n" +
    "origin      " + timeText(header.originTime) + "\n" +
    "receive     " + timeText(header.receiveTime) + "\n" +
    "transmit    " + timeText(header.transmitTime) + "\n";
}

function trailerLines(length: i32): string {
  const wellFormed = readTrailer(copy, length, header.version, trailer);
  let text = "";
  let at = HEADER_LENGTH;
  while (at < trailer.fieldsEnd) {
    const type = fieldType(copy + <usize>at);
    const octets = fieldLength(copy + <usize>at);
    text += "field       0x" + hex(type, 4) + " " + fieldName(type) + ", " + octets.toString() + " octets\n";
    at += fieldSpan(copy + <usize>at);
  }
  if (!wellFormed) return text + "malformed   " + (length - trailer.fieldsEnd).toString() + " octets at " + trailer.fieldsEnd.toString() + " are neither extension field nor MAC\n";
  if (trailer.cryptoNak) return text + "crypto-NAK  authentication failed\n";
  if (trailer.macLength == 0) return text + correctionLine();
  const lead = leadOf(header.version);
  const keyId: u32 = trailer.macLength < lead + 4 ? 0 : bswap<u32>(load<u32>(copy + <usize>(trailer.macStart + lead)));
  return text + "MAC         key " + keyId.toString() + ", " + max(trailer.macLength - lead - 4, 0).toString() + " octets of digest\n" + correctionLine();
}

/** NTPv5's one field that stands behind everything. */
function correctionLine(): string {
  const there = <i32>header.version == VERSION_5 && trailer.correction != 0;
  return there ? "field       0x" + hex(FIELD_CORRECTION, 4) + " " + fieldName(FIELD_CORRECTION) + ", " + CORRECTION_LENGTH.toString() + " octets\n" : "";
}

/** What `packet` says, one field a line. */
export function explainPacket(packet: Uint8Array): string {
  const length = min(packet.length, CAPACITY);
  if (length < HEADER_LENGTH) {
    return "too short   " + length.toString() + " octets; an NTP packet has at least 48\n";
  }
  memory.copy(copy, packet.dataStart, length);
  readHeader(copy, header);
  return headerLines() + trailerLines(length);
}
