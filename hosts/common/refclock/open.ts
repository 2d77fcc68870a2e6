// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How a reference clock is written, and the driver that it names.
 *
 *     refclock:KIND[:DEVICE][?key=value&…]
 *
 *     refclock:gps:/dev/ttyS0?baud=9600&offset=0.14       sentences on a serial line
 *     refclock:gpsd:127.0.0.1:2947                        a gpsd
 *     refclock:pps:/dev/pps0?lock=GPS                     kernel pulses, numbered by another clock
 *     refclock:shm:2    refclock:sock:/run/x.sock         what other programs hand us
 *     refclock:local?stratum=10                           our own clock, when nobody can be followed
 *
 * Tested in open.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import { SharedMemoryClock, SockClock } from "./foreign-clocks.ts";
import { GPSD_PORT, GpsdClock } from "./gpsd.ts";
import { NmeaClock, type NmeaSentence } from "./nmea.ts";
import { PpsClock } from "./pps.ts";
import type { RefClock, RefClockTuning } from "./refclock.ts";

export const REFCLOCK_KINDS = ["gps", "gpsd", "pps", "shm", "sock", "local"] as const;
export type RefClockKind = (typeof REFCLOCK_KINDS)[number];

/** A reference clock as it was written. */
export interface RefClockSpec extends RefClockTuning {
  readonly kind: RefClockKind;
  /** As it is shown. */
  readonly text: string;
  /** Path, address, or unit. */
  readonly device: string;
  readonly baud?: number;
  readonly sentence?: NmeaSentence;
  readonly edge?: "assert" | "clear";
  readonly both?: boolean;
  /** gpsd's name of the device that is meant. */
  readonly of?: string;
}

type Reader = (text: string, source: string) => unknown;

function wrong(expected: string, got: string, source: string): NtpError {
  return new NtpError("INVALID_ARGUMENT", `expected ${expected}, got "${got}" in ${source}`, { source });
}

function numberIn(least: number, most: number, integer = false): Reader {
  return (text, source) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= least && value <= most && (!integer || Number.isInteger(value))) return value;
    throw wrong(`a ${integer ? "whole " : ""}number of ${least} to ${most}`, text, source);
  };
}

const oneOf = (...words: string[]): Reader => (text, source) => {
  if (words.includes(text)) return text;
  throw wrong(words.join(" or "), text, source);
};

const flag: Reader = (text, source) => {
  if (text === "" || text === "true") return true;
  if (text === "false") return false;
  throw wrong("true or false", text, source);
};

const word: Reader = (text, source) => {
  if (/^[\x21-\x7e]{1,64}$/.test(text)) return text;
  throw wrong("a word", text, source);
};

const refid: Reader = (text, source) => {
  if (/^[\x21-\x7e]{1,4}$/.test(text)) return text;
  throw wrong("one to four ASCII characters", text, source);
};

/** Every option and what it may be. */
const COMMON: Record<string, Reader> = {
  name: word,
  refid,
  offset: numberIn(-1e9, 1e9),
  delay: numberIn(0, 10),
  dispersion: numberIn(0, 10),
  precision: numberIn(0, 1),
  poll: numberIn(0, 10, true),
  stratum: numberIn(0, 15, true),
  prefer: flag,
  noselect: flag,
  lock: word,
  holdover: numberIn(1, 8192),
};
const OWN: Record<RefClockKind, Record<string, Reader>> = {
  gps: { ...COMMON, baud: numberIn(50, 10_000_000, true), sentence: oneOf("RMC", "GGA", "GLL", "ZDA") },
  gpsd: { ...COMMON, of: word },
  pps: { ...COMMON, edge: oneOf("assert", "clear"), both: flag },
  shm: COMMON,
  sock: COMMON,
  local: { stratum: numberIn(1, 15, true) },
};

/** Whether a source's text is that of a reference clock. */
export function isRefClock(source: string | URL): boolean {
  return /^refclock:/i.test(String(source).trim());
}

/** Take a reference clock's text apart. @throws {NtpError} `INVALID_ARGUMENT` */
export function parseRefClock(source: string | URL): RefClockSpec {
  const text = String(source).trim();
  const [place = "", query = ""] = splitOnce(text.slice("refclock:".length), "?");
  const [kind = "", device = ""] = splitOnce(place, ":");
  if (!isKind(kind)) throw wrong(`refclock:KIND with one of ${REFCLOCK_KINDS.join(", ")}`, kind, text);
  checkDevice(kind, device, text);
  const options: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    const read = Object.hasOwn(OWN[kind], name) ? OWN[kind][name] : undefined;
    if (!read) throw wrong(`one of ${Object.keys(OWN[kind]).join(", ")}`, name, text);
    options[name] = read(value, text);
  }
  return { ...options, kind, text, device };
}

function splitOnce(text: string, at: string): [string, string | undefined] {
  const place = text.indexOf(at);
  return place < 0 ? [text, undefined] : [text.slice(0, place), text.slice(place + at.length)];
}

function isKind(kind: string): kind is RefClockKind {
  return (REFCLOCK_KINDS as readonly string[]).includes(kind);
}

function checkDevice(kind: RefClockKind, device: string, source: string): void {
  if (kind === "local") {
    if (device !== "") throw wrong("no device", device, source);
  } else if (kind === "shm") {
    if (!/^\d{1,3}$/.test(device) || Number(device) > 255) throw wrong("a unit of 0 to 255", device, source);
  } else if (kind === "gpsd") {
    if (device !== "" && !gpsdEndpoint(device)) throw wrong("HOST or HOST:PORT", device, source);
  } else if (!device.startsWith("/")) {
    throw wrong(`an absolute path of a device`, device, source);
  }
}

function gpsdEndpoint(device: string): { address: string; port: number } | undefined {
  if (device === "") return { address: "127.0.0.1", port: GPSD_PORT };
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:\s]+))(?::(\d{1,5}))?$/i.exec(device);
  const port = Number(match?.[3] ?? GPSD_PORT);
  return match && port > 0 && port < 65536 ? { address: (match[1] ?? match[2])!, port } : undefined;
}

/**
 * What of a sentence's moment is unknown, s: where nobody has said how late they come (`offset`), half a second; then what
 * receivers wander by.
 */
const SENTENCE_UNKNOWN = 0.5;
const SENTENCE_WANDER = 0.05;
/** A pulse's cable and the interrupt it makes. */
const PULSE_DOUBT = 1e-6;
/** Whoever hands us samples knows them better than we do; this is about our reading. */
const FOREIGN_DOUBT = 1e-6;

/** The driver that a text names. Opens nothing until it is iterated. @throws {NtpError} `UNSUPPORTED` */
export function openRefClock(spec: RefClockSpec, host: Host): RefClock {
  const { kind, device, offset, baud, sentence, edge, both, of } = spec;
  const devices = host.devices ?? {};
  const now = () => host.clock.now();
  const sentences = offset === undefined ? SENTENCE_UNKNOWN : SENTENCE_WANDER;
  switch (kind) {
    case "gps":
      return new NmeaClock(devices.openSerial, { path: device, baud, sentence, dispersion: sentences });
    case "gpsd":
      return new GpsdClock({ connectTcp: host.connectTcp?.bind(host), now }, { endpoint: gpsdEndpoint(device)!, device: of, dispersion: sentences });
    case "pps":
      return new PpsClock(devices, { path: device, edge, both, dispersion: PULSE_DOUBT });
    case "shm":
      return new SharedMemoryClock({ devices, now }, { unit: Number(device), dispersion: FOREIGN_DOUBT });
    case "sock":
      return new SockClock({ devices, now }, { path: device, dispersion: FOREIGN_DOUBT });
    case "local":
      throw new NtpError("INVALID_ARGUMENT", "refclock:local is no clock to be read, but what to do when there is none");
  }
}
