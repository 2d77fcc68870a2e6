// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NMEA 0183: the sentences of a GNSS receiver in which the time is told, from a stream of octets.
 *
 *   $ T T F F F , field , field , … * H H CR LF       talker TT (any), formatter FFF, checksum: the exclusive or between $ and *
 *
 *   RMC   time, A|V, lat, N, lon, E, speed, course, ddmmyy, …, …, mode     date and time
 *   ZDA   time, dd, mm, yyyy, zone hours, zone minutes                     date and time
 *   GGA   time, lat, N, lon, E, quality, …                                 time
 *   GLL   lat, N, lon, E, time, A|V, mode                                  time
 *
 * nmeaPush() takes octets as they come, in any pieces, and stops after each sentence. A sentence is believed whole or not
 * at all: checksum MUST be there and right, every field of date and time in range (23:59:60 is; hour 24 is not). A time
 * without a date gets the date of the last RMC or ZDA, or the day after it past midnight, and never changes that date.
 * Of the sentences of one second only the first one is a time: they are sent one after the other, and only the first begins
 * at the same moment each second. A receiver that repeats its last fix tells no time.
 *
 * GPS counts weeks modulo 1024. A receiver that has lost count tells dates that are n · 1024 weeks early: dates before the
 * floor, when this was written, are moved on by as many as it takes. Wrong only for those who play back older recordings,
 * who can set a floor of their own (nmeaStart).
 *
 * Refuses positions, and what no receiver vouches for: estimated, manual and simulated fixes. Tested in nmea.test.ts.
 */

/** What a push ended with. */
export const NMEA_MORE: i32 = 0;
/** A time: see {@link Nmea}. */
export const NMEA_TIME: i32 = 1;
/** The receiver has no fix: what it tells is its own clock. */
export const NMEA_NO_FIX: i32 = 2;
/** A time of day, but no date was told yet. */
export const NMEA_NO_DATE: i32 = 3;
/** The same second as before: another sentence of it, or a receiver that repeats itself. */
export const NMEA_REPEATED: i32 = 4;
/** A sentence that is whole, but tells no time. */
export const NMEA_OTHER: i32 = 5;
/** A checksum that is wrong or missing. */
export const NMEA_CHECKSUM: i32 = 6;
/** A field that is empty, no number, or out of range. */
export const NMEA_FIELD: i32 = 7;
/** Octets between $ and the line's end that are no text, or too many. */
export const NMEA_GARBLED: i32 = 8;

/** The reader's state, and its last sentence. Read by hosts through the exported NMEA_* offsets. */
@unmanaged
export class Nmea {
  /** One of NMEA_*. */
  verdict: i32;
  /** RMC 1, ZDA 2, GGA 3, GLL 4; 0 for another. */
  sentence: i32;
  /** 1: the present sentence's $ was in the octets of this push. */
  begun: i32;
  /** Octets of the present sentence so far, behind its $; -1: none has begun. */
  length: i32;
  /** Bits of sentences that are taken for the time, by 1 << sentence; 0: of all. */
  wanted: i32;
  /** 1: the last sentence that told of it had a fix. */
  fix: i32;
  /** Nanoseconds since 1970: the last time told. */
  unixNs: i64;
  /** The last date told, days since 1970 (-1: none), and the time of day then, s. */
  day: i64;
  secondOfDay: i32;
  /** The last time of day that was looked at, ns; of it only the first sentence counts. */
  seen: i64;
  /** The earliest date that is believed, days since 1970. */
  floor: i64;
}

/** The standard has 82 with $ and line end; receivers of several systems exceed that. */
const LINE: i32 = 128;
const FIELDS: i32 = 24;
const lineAt: usize = memory.data(LINE, 8);
/** Where each field begins, and one past the last one's end. */
const fieldsAt: usize = memory.data((FIELDS + 1) * 4, 4);
const state = changetype<Nmea>(memory.data(offsetof<Nmea>(), 8));
let fieldCount: i32 = 0;

/** 2026-01-01, days since 1970: no receiver has an honest date before this was written. */
const FLOOR: i64 = 20454;
/** Nanoseconds in 64 bits end in 2262. */
const LAST_YEAR: i32 = 2199;
const ROLLOVER_DAYS: i64 = 1024 * 7;
const DAY_SECONDS: i64 = 86400;
const NS: i64 = 1000000000;

const RMC: i32 = 1;
const ZDA: i32 = 2;
const GGA: i32 = 3;
const GLL: i32 = 4;

export function nmeaOut(): usize {
  return changetype<usize>(state);
}

/** Begin anew. `wanted`: bits of the sentences to take, 0 for all; `floor`: days since 1970, 0 for the built-in one. */
export function nmeaStart(wanted: i32, floor: i32): void {
  memory.fill(changetype<usize>(state), 0, offsetof<Nmea>());
  state.wanted = wanted;
  state.floor = floor > 0 ? floor : FLOOR;
  nmeaBreak();
  state.day = -1;
  state.seen = -1;
}

/** The line was interrupted: what was begun is void. */
export function nmeaBreak(): void {
  state.length = -1;
}

/** Take octets up to the end of the next sentence. Returns how many were taken; the verdict says what they were. */
export function nmeaPush(at: usize, count: i32): i32 {
  state.verdict = NMEA_MORE;
  state.begun = 0;
  for (let i = 0; i < count; i++) {
    const octet = load<u8>(at + <usize>i);
    if (octet == 0x24) {
      // Also in the midst of a sentence, whose end was lost then.
      state.length = 0;
      state.begun = 1;
    } else if (state.length >= 0 && takeOctet(octet)) {
      return i + 1;
    }
  }
  return count;
}

/** True when a sentence has ended. */
function takeOctet(octet: u8): bool {
  if (octet == 0x0d || octet == 0x0a) {
    state.verdict = judge(state.length);
    state.length = -1;
    return true;
  }
  if (octet < 0x20 || octet > 0x7e || state.length >= LINE) {
    state.verdict = NMEA_GARBLED;
    state.length = -1;
    return true;
  }
  store<u8>(lineAt + <usize>state.length, octet);
  state.length += 1;
  return false;
}

function judge(length: i32): i32 {
  state.sentence = 0;
  const end = length - 3;
  if (end < 6 || load<u8>(lineAt + <usize>end) != 0x2a || !checked(end)) return NMEA_CHECKSUM;
  split(end);
  // Proprietary sentences have no talker: P and the maker's three letters.
  if (fieldLength(0) != 5 || octetOf(0, 0) == 0x50) return NMEA_OTHER;
  state.sentence = sentenceOf();
  if (state.sentence == 0) return NMEA_OTHER;
  return readSentence(state.sentence);
}

function checked(end: i32): bool {
  let sum: i32 = 0;
  for (let i = 0; i < end; i++) sum ^= load<u8>(lineAt + <usize>i);
  const high = hexDigit(load<u8>(lineAt + <usize>end, 1));
  const low = hexDigit(load<u8>(lineAt + <usize>end, 2));
  return high >= 0 && low >= 0 && sum == high * 16 + low;
}

function hexDigit(octet: u8): i32 {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function split(end: i32): void {
  fieldCount = 1;
  store<i32>(fieldsAt, 0);
  for (let i = 0; i < end && fieldCount < FIELDS; i++) {
    if (load<u8>(lineAt + <usize>i) != 0x2c) continue;
    store<i32>(fieldsAt + (<usize>fieldCount << 2), i + 1);
    fieldCount += 1;
  }
  store<i32>(fieldsAt + (<usize>fieldCount << 2), end + 1);
}

function fieldStart(field: i32): i32 {
  return load<i32>(fieldsAt + (<usize>field << 2));
}

/** 0 for a field that is empty or not there. */
function fieldLength(field: i32): i32 {
  return field < fieldCount ? fieldStart(field + 1) - 1 - fieldStart(field) : 0;
}

/** An octet of a field; 0 beyond its end. */
function octetOf(field: i32, place: i32): u8 {
  return place < fieldLength(field) ? load<u8>(lineAt + <usize>(fieldStart(field) + place)) : 0;
}

/** `digits` decimal digits of a field; -1 when there is anything else among them. */
function numberOf(field: i32, place: i32, digits: i32): i32 {
  let value = 0;
  for (let i = 0; i < digits; i++) {
    const digit = <i32>octetOf(field, place + i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function sentenceOf(): i32 {
  const name = (<i32>octetOf(0, 2) << 16) | (<i32>octetOf(0, 3) << 8) | <i32>octetOf(0, 4);
  if (name == 0x524d43) return RMC;
  if (name == 0x5a4441) return ZDA;
  if (name == 0x474741) return GGA;
  if (name == 0x474c4c) return GLL;
  return 0;
}

function readSentence(sentence: i32): i32 {
  // Without a fix receivers leave fields empty: that is no fault of theirs.
  if (!readFix(sentence)) return NMEA_NO_FIX;
  const timeNs = timeOfDay(sentence == GLL ? 5 : 1);
  if (timeNs < 0) return NMEA_FIELD;
  const second = <i32>(timeNs / NS);
  if (sentence == RMC || sentence == ZDA) {
    const day = sentence == RMC ? dateOf(9, 0, 2, 4) : dateOfZda();
    if (day < 0) return NMEA_FIELD;
    state.day = day;
    state.secondOfDay = second;
  }
  if (state.day < 0) return NMEA_NO_DATE;
  if (state.wanted != 0 && (state.wanted & (1 << sentence)) == 0) return NMEA_OTHER;
  const unixNs = (dayAt(second) * DAY_SECONDS) * NS + timeNs;
  if (unixNs == state.seen) return NMEA_REPEATED;
  state.seen = unixNs;
  state.unixNs = unixNs;
  return NMEA_TIME;
}

/** The date of a time of day: that told last, unless midnight has passed since (or the date came from just after it). */
function dayAt(second: i32): i64 {
  const since = second - state.secondOfDay;
  if (since < -(<i32>DAY_SECONDS / 2)) return state.day + 1;
  return since > <i32>DAY_SECONDS / 2 ? state.day - 1 : state.day;
}

/** Does the receiver vouch for this sentence? ZDA does not say, and is as good as the last one that did. */
function readFix(sentence: i32): bool {
  if (sentence == ZDA) return state.fix != 2;
  const fix = sentence == GGA ? goodQuality(octetOf(6, 0)) : octetOf(sentence == RMC ? 2 : 6, 0) == 0x41 && goodMode(octetOf(sentence == RMC ? 12 : 7, 0));
  state.fix = fix ? 1 : 2;
  return fix;
}

/** GGA: 1 GPS, 2 differential, 3 PPS, 4 and 5 RTK, 9 SBAS; not 6 estimated, 7 manual, 8 simulated. */
function goodQuality(octet: u8): bool {
  return (octet >= 0x31 && octet <= 0x35) || octet == 0x39;
}

/** Not N (no fix), E, M, S (estimated, manual, simulated). Old receivers have no such field. */
function goodMode(octet: u8): bool {
  return octet != 0x4e && octet != 0x45 && octet != 0x4d && octet != 0x53;
}

/** hhmmss or hhmmss.s… of a field in ns; -1 when it is none. 23:59:60 is the second that POSIX time calls midnight. */
function timeOfDay(field: i32): i64 {
  const length = fieldLength(field);
  const hour = numberOf(field, 0, 2);
  const minute = numberOf(field, 2, 2);
  const second = numberOf(field, 4, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return -1;
  if (second == 60 && (hour != 23 || minute != 59)) return -1;
  let fraction: i64 = 0;
  if (length > 6) {
    if (octetOf(field, 6) != 0x2e || length > 16) return -1;
    let unit = NS / 10;
    for (let place = 7; place < length; place++) {
      const digit = numberOf(field, place, 1);
      if (digit < 0) return -1;
      fraction += unit * digit;
      unit /= 10;
    }
  }
  return (<i64>hour * 3600 + <i64>minute * 60 + <i64>second) * NS + fraction;
}

/** ddmmyy: years are 1980 to 2079. */
function dateOf(field: i32, dayAt: i32, monthAt: i32, yearAt: i32): i64 {
  const year = numberOf(field, yearAt, 2);
  if (fieldLength(field) != 6 || year < 0) return -1;
  return dayNumber(year < 80 ? 2000 + year : 1900 + year, numberOf(field, monthAt, 2), numberOf(field, dayAt, 2));
}

function dateOfZda(): i64 {
  if (fieldLength(2) != 2 || fieldLength(3) != 2 || fieldLength(4) != 4) return -1;
  return dayNumber(numberOf(4, 0, 4), numberOf(3, 0, 2), numberOf(2, 0, 2));
}

function monthLength(year: i32, month: i32): i32 {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/** Days since 1970 of a date that exists, moved past the floor; -1 for any other. GPS began in 1980. */
function dayNumber(year: i32, month: i32, day: i32): i64 {
  if (year < 1980 || year > LAST_YEAR || month < 1 || month > 12 || day < 1 || day > monthLength(year, month)) return -1;
  // Years begin in March, so that the leap day is their last.
  const years = <i64>(month > 2 ? year : year - 1);
  const dayOfYear = (153 * (<i64>month + (month > 2 ? -3 : 9)) + 2) / 5 + <i64>day - 1;
  let number = years * 365 + years / 4 - years / 100 + years / 400 + dayOfYear - 719468;
  if (number < state.floor) number += ((state.floor - number + ROLLOVER_DAYS - 1) / ROLLOVER_DAYS) * ROLLOVER_DAYS;
  return number;
}
