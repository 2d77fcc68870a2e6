// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Messages of NTS key establishment (RFC 8915 §4): a list of records that ends with "end of message".
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |C|         Record type         |   Body length (octets of 4 on) |
 * 4 |                          Body, unpadded ...                   |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 *   0      end of message          empty               6      NTPv4 server       a name or an address, ASCII
 *   1      next protocol           list of u16         7      NTPv4 port         u16
 *   2      error                   u16                 1024   AEAD 30's exporter context is the RFC's: empty
 *   3      warning                 u16                 0x4001 the NTPv5 draft spoken, ASCII
 *   4      AEAD algorithm          list of u16
 *   5      new cookie              opaque
 *
 * C, the critical bit: who does not know the type MUST refuse the message. Here the form of a message is judged: lengths,
 * doubled records, unknown critical ones, the end. What its records mean together is judged by who asked for it
 * (hosts/common/nts/establish.ts, answer.ts). It comes from a stream, so that it may be looked at while it still grows.
 *
 * Cold surface. Takes any octets, keeps nothing. Tested in ke.test.ts at every truncation.
 */

const HEADER: i32 = 4;
const CRITICAL: i32 = 0x8000;

const END: i32 = 0;
const NEXT_PROTOCOL: i32 = 1;
const ERROR: i32 = 2;
const WARNING: i32 = 3;
const AEAD: i32 = 4;
const COOKIE: i32 = 5;
const SERVER: i32 = 6;
const PORT: i32 = 7;
const COMPLIANT_EXPORTER: i32 = 1024;
const DRAFT: i32 = 0x4001;

/** The message is whole. */
const COMPLETE: i32 = 0;
/** More octets are wanted before anything new can be said. */
const MORE: i32 = 1;
/** It can never become a message. */
const REFUSED: i32 = 2;

const NO_FAULT: i32 = 0;
const UNKNOWN_CRITICAL: i32 = 1;
const TOO_LONG: i32 = 2;
const TOO_MANY: i32 = 3;
const WRONG_LENGTH: i32 = 4;
const DOUBLED: i32 = 5;
const NOT_A_NAME: i32 = 6;
const TRAILING: i32 = 7;

/** Numbers before the records, and of each record, in what keRead() returns. */
const HEAD: i32 = 4;
const EACH: i32 = 4;
/** No message needs as many; the caller's own limit may be lower. */
const RECORDS_MOST: i32 = 256;
/** A domain name has no more (RFC 1035 §2.3.4). */
const NAME_MOST: i32 = 255;

/** What is said of a fault, for people. */
export function keFaultText(fault: i32): string {
  if (fault == UNKNOWN_CRITICAL) return "a critical record of a type that is not known here";
  if (fault == TOO_LONG) return "more octets than a message may have";
  if (fault == TOO_MANY) return "more records than a message may have";
  if (fault == WRONG_LENGTH) return "a record whose body has the wrong length";
  if (fault == DOUBLED) return "a record that may come only once, twice";
  if (fault == NOT_A_NAME) return "a server that is neither a domain name nor an IP address";
  if (fault == TRAILING) return "octets after the end of the message";
  return "";
}

/** The name of a record type, for people. */
export function keRecordText(type: i32): string {
  if (type == END) return "end of message";
  if (type == NEXT_PROTOCOL) return "next protocol";
  if (type == ERROR) return "error";
  if (type == WARNING) return "warning";
  if (type == AEAD) return "AEAD algorithm";
  if (type == COOKIE) return "new cookie";
  if (type == SERVER) return "NTPv4 server";
  if (type == PORT) return "NTPv4 port";
  if (type == COMPLIANT_EXPORTER) return "compliant exporter context for AEAD 30";
  if (type == DRAFT) return "NTPv5 draft";
  return "unknown";
}

/** What an error code says (RFC 8915 §4.1.3). */
export function keErrorText(code: i32): string {
  if (code == 0) return "unrecognized critical record";
  if (code == 1) return "bad request";
  if (code == 2) return "internal server error";
  return "unknown error";
}

function read16(at: usize): i32 {
  return <i32>bswap<u16>(load<u16>(at));
}

/**
 * Take a message apart, or its beginning. Returns numbers:
 *
 *   0       verdict: 0 whole, 1 more is wanted, 2 refused
 *   1       octets: of the whole message; that must be there before more can be said; before the record at fault
 *   2       fault, 0 when not refused
 *   3       records that follow, the one at fault as the last of them
 *   4 ..    for each record: type, 1 when critical, where its body starts, how long it is
 */
export function keRead(message: Uint8Array, maxOctets: i32, maxRecords: i32): Int32Array {
  const start = message.dataStart;
  const length = message.length;
  const most = min(max(maxRecords, 0), RECORDS_MOST);
  // One place more than the limit, for the record that breaks it.
  const told = new Int32Array(HEAD + EACH * (most + 1));
  let at = 0;
  for (;;) {
    if (at + HEADER > maxOctets) return verdict(told, REFUSED, at, TOO_LONG);
    if (at + HEADER > length) return verdict(told, MORE, at + HEADER, NO_FAULT);
    const word = read16(start + <usize>at);
    const type = word & ~CRITICAL;
    const body = at + HEADER;
    const octets = read16(start + <usize>(at + 2));
    const before = unchecked(told[3]);
    note(told, word, body, octets);
    const fault = headerFault(told, before, most, maxOctets);
    if (fault != NO_FAULT) return verdict(told, REFUSED, at, fault);
    if (body + octets > length) {
      // It does not count yet.
      unchecked(told[3] = before);
      return verdict(told, MORE, body + octets, NO_FAULT);
    }
    if (type == SERVER && !isName(start + <usize>body, octets)) return verdict(told, REFUSED, at, NOT_A_NAME);
    at = body + octets;
    if (type != END) continue;
    return at == length ? verdict(told, COMPLETE, at, NO_FAULT) : verdict(told, REFUSED, at, TRAILING);
  }
}

function verdict(told: Int32Array, what: i32, octets: i32, fault: i32): Int32Array {
  unchecked(told[0] = what);
  unchecked(told[1] = octets);
  unchecked(told[2] = fault);
  return told.slice(0, HEAD + EACH * unchecked(told[3]));
}

function note(told: Int32Array, word: i32, body: i32, octets: i32): void {
  const at = HEAD + EACH * unchecked(told[3]);
  unchecked(told[at] = word & ~CRITICAL);
  unchecked(told[at + 1] = word >> 15);
  unchecked(told[at + 2] = body);
  unchecked(told[at + 3] = octets);
  unchecked(told[3] += 1);
}

/** What is wrong with the record that was noted last, as far as its header and those before it tell. */
function headerFault(told: Int32Array, before: i32, most: i32, maxOctets: i32): i32 {
  const at = HEAD + EACH * before;
  const type = unchecked(told[at]);
  const octets = unchecked(told[at + 3]);
  if (before >= most) return TOO_MANY;
  if (!isKnown(type)) {
    if (unchecked(told[at + 1]) != 0) return UNKNOWN_CRITICAL;
  } else if (!fits(type, octets)) {
    return WRONG_LENGTH;
  }
  if (unchecked(told[at + 2]) + octets > maxOctets) return TOO_LONG;
  return isSingle(type) && cameBefore(told, before, type) ? DOUBLED : NO_FAULT;
}

function isKnown(type: i32): bool {
  return type <= PORT || type == COMPLIANT_EXPORTER || type == DRAFT;
}

/** RFC 8915 §4.1.2, 4.1.5, 4.1.7, 4.1.8 allow one; of the other two a second would say nothing new. */
function isSingle(type: i32): bool {
  return type == NEXT_PROTOCOL || type == AEAD || type == SERVER || type == PORT || type == COMPLIANT_EXPORTER || type == DRAFT;
}

function cameBefore(told: Int32Array, before: i32, type: i32): bool {
  for (let i = 0; i < before; i++) if (unchecked(told[HEAD + EACH * i]) == type) return true;
  return false;
}

function fits(type: i32, octets: i32): bool {
  if (type == END || type == COMPLIANT_EXPORTER) return octets == 0;
  if (type == NEXT_PROTOCOL || type == AEAD) return (octets & 1) == 0;
  if (type == ERROR || type == WARNING || type == PORT) return octets == 2;
  if (type == SERVER) return octets >= 1 && octets <= NAME_MOST;
  return octets >= 1;
}

/** Letters of domain names and of IP addresses; no zone identifiers (RFC 8915 §4.1.7), nothing that a terminal obeys. */
function isName(at: usize, octets: i32): bool {
  for (let i: usize = 0; i < <usize>octets; i++) {
    const letter = <i32>load<u8>(at + i);
    const folded = letter | 0x20;
    const isLetter = folded >= 0x61 && folded <= 0x7a;
    // 0-9 and ":" are neighbours; "-" and "." are too.
    if (!isLetter && !(letter >= 0x30 && letter <= 0x3a) && letter != 0x2d && letter != 0x2e && letter != 0x5f) return false;
  }
  return true;
}

/**
 * Write a message: of each record its type (with the critical bit, 0x8000) and the length of its body; the bodies, one after
 * another. Empty when the three do not fit together.
 */
export function keWrite(types: Uint16Array, lengths: Uint16Array, bodies: Uint8Array): Uint8Array {
  const count = types.length;
  let octets = 0;
  for (let i = 0; i < lengths.length; i++) octets += <i32>unchecked(lengths[i]);
  if (lengths.length != count || octets != bodies.length) return new Uint8Array(0);
  const message = new Uint8Array(count * HEADER + octets);
  let to = message.dataStart;
  let from = bodies.dataStart;
  for (let i = 0; i < count; i++) {
    const length = unchecked(lengths[i]);
    store<u16>(to, bswap<u16>(unchecked(types[i])));
    store<u16>(to, bswap<u16>(length), 2);
    memory.copy(to + HEADER, from, length);
    to += HEADER + <usize>length;
    from += length;
  }
  return message;
}
