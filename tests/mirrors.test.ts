// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Numbers that the core and its hosts both write down, as neither can import the other: codes, bits, orders, sizes and limits.
 * Both are read from their sources, or the core's from what is built, and must be the same.
 *
 * Each comparison is tried, too: a change of any constant named here, on either side, must be noticed.
 */
import { describe, expect, it } from "vitest";
import { Core, coreModule } from "../hosts/common/core/core.ts";
import { AES_128_GCM_SIV, DEFAULT_AEADS, keyLength } from "../hosts/common/nts/records.ts";
import { camel, constants, enumeration, fields, inOrder, inline, made, trial, turned, type Reading } from "./support/mirrors.ts";
import { Declarations } from "./support/declarations.ts";

const A = "assembly/association";
const C = "hosts/common/client";
const S = "hosts/common/server";
type Numbers = Record<string, number>;

/** The names in the order of their numbers. */
const order = (reading: Reading, from = 0) => turned<Numbers>(reading, (numbers) => inOrder(numbers, from));
/** Constants by their names. */
const named = (file: string, ...names: string[]) => turned<number[]>(constants(file, ...names), (values) => Object.fromEntries(names.map((name, i) => [name, values[i]])));
const scaled = (reading: Reading, factor: number) => turned<number[]>(reading, (values) => values.map((value) => Math.round(value * factor)));
const sum = (reading: Reading) => turned<number[]>(reading, (values) => [values.reduce((a, b) => a + b)]);
const log2 = (reading: Reading) => turned<Numbers>(reading, (bits) => Object.fromEntries(Object.entries(bits).map(([name, bit]) => [name, Math.log2(bit)])));

/** The core's side first, then all others. */
const MIRRORS: Record<string, readonly [Reading, ...Reading[]]> = {
  "what an association asks for": [enumeration(`${A}/state.ts`, "ACTION_"), enumeration(`${C}/events.ts`, "ACTION_")],
  "of that, what a page's clock obeys": [
    constants(`${A}/state.ts`, "ACTION_SEND", "ACTION_TIMER", "ACTION_STEER", "ACTION_STOP"),
    constants("hosts/browser/pagecore.ts", "SEND", "TIMER", "STEER", "STOP"),
  ],
  "places of what a page is told": [
    fields("assembly/page.ts", "Told"),
    order(named("hosts/browser/pagecore.ts", "WANTS", "DUE", "RATE", "FREQUENCY", "REMAINING", "UNTIL", "STEP", "PEER", "STRATUM", "LEAP", "SURVIVORS", "BOUND",
      "REACH", "USED", "LAST_PROBLEMS", "SELECTION", "OFFSET", "FLOOR")),
  ],
  "packet tests": [
    turned<Numbers>(log2(enumeration(`${A}/check.ts`, "TEST")), (bits) => inOrder(bits).map((name) => `test${name[0]!.toUpperCase()}`)),
    made<[string, string][]>(`${C}/problems.ts`, "TESTS", (tests) => tests.map(([name]) => name)),
  ],
  "the test of a packet that is malformed": [constants(`${A}/check.ts`, "TESTD_MALFORMED"), constants(`${C}/exchange.ts`, "MALFORMED")],
  "what is no answer": [constants(`${A}/exchange.ts`, "VERDICT_IGNORE"), inline(`${C}/exchange.ts`, /verdict === (\d)\) return \{ kind: "ignored"/)],
  "chrony's field, asked for": [constants(`${A}/exchange.ts`, "WANT_MONO_ROOT"), constants(`${C}/exchange.ts`, "WANT_MONO_ROOT")],
  "all that NTPv5 tells, asked for": [
    sum(constants(`${A}/v5fields.ts`, "WANT_INFORMATION", "WANT_REFERENCE_TIME", "WANT_MONOTONIC", "WANT_SCALES", "WANT_CORRECTION")),
    constants(`${C}/exchange.ts`, "WANT_DETAILS"),
  ],
  "what became of a correction": [constants(`${A}/v5fields.ts`, "CORRECTION_ABSENT", "CORRECTION_USED"), constants(`${C}/details.ts`, "CORRECTION_ABSENT", "CORRECTION_USED")],
  "time scales beside UTC": [
    turned<Numbers>(enumeration("assembly/proto/v5.ts", "SCALE_", ["UTC"]), (scales) => Object.entries(scales).map(([name, scale]) => [camel(name), name, 1 << scale])),
    made(`${C}/details.ts`, "SCALES", (scales) => scales),
  ],
  "kinds of authentication": [
    order(enumeration(`${A}/authentic.ts`, "AUTH_")),
    made(`${C}/source-variables.ts`, "AUTHENTICATIONS", (names) => names),
    made<Numbers>(`${C}/authentication.ts`, "AUTH", (kinds) => inOrder({ none: 0, ...kinds })),
  ],
  "modes": [
    constants("assembly/proto/header.ts", "MODE_CLIENT", "MODE_SERVER"),
    constants("hosts/common/relay/payload.ts", "MODE_CLIENT", "MODE_SERVER"),
  ],
  "the mode of a request": [constants("assembly/proto/header.ts", "MODE_CLIENT"), constants(`${C}/exchange.ts`, "MODE_CLIENT")],
  "the mode of an answer": [constants("assembly/proto/header.ts", "MODE_SERVER"), constants("hosts/common/roughtime/sample.ts", "MODE_SERVER")],
  "the mode of a peer that asks": [constants("assembly/proto/header.ts", "MODE_SYMMETRIC_ACTIVE"), constants(`${C}/peering.ts`, "MODE_SYMMETRIC_ACTIVE")],
  "the leap indicator of who is not synchronised": [constants("assembly/proto/header.ts", "LEAP_UNSYNCHRONISED"), inline(`${C}/refclock-core.ts`, /health === "bad" \? (\d)/)],
  "the stratum of who is not synchronised": [
    constants("assembly/proto/header.ts", "STRATUM_UNSYNCHRONISED"),
    constants(`${S}/state.ts`, "UNSYNCHRONISED"),
    constants("daemon/report.ts", "STRATUM_UNSYNCHRONISED"),
    constants("daemon/ntpq.ts", "UNSYNCHRONISED"),
  ],
  "polls without an answer until a source is unreachable": [constants(`${A}/state.ts`, "UNREACHABLE_AFTER"), constants(`${C}/source-variables.ts`, "UNREACHABLE_AFTER")],
  "sources": [constants("assembly/discipline/memory.ts", "SOURCES"), constants(`${C}/followed.ts`, "SOURCE_LIMIT"), constants("daemon/config.ts", "SOURCE_LIMIT")],
  "networks asked": [constants(`${A}/manycast.ts`, "MANYCASTS"), constants(`${C}/followed.ts`, "MANYCAST_LIMIT")],
  "how long a network may answer, ms": [scaled(constants(`${A}/manycast.ts`, "WINDOW"), 1000 / 2 ** 32), constants(`${C}/manycast-runner.ts`, "WINDOW_MS")],
  "sessions of NTS": [constants(`${A}/nts.ts`, "SESSIONS"), constants(`${C}/exchange.ts`, "PLACES")],
  "cookies of a session": [
    constants(`${A}/nts.ts`, "COOKIES"),
    constants("assembly/proto/nts.ts", "COOKIES_MAXIMUM"),
    constants(`${C}/discipline.ts`, "COOKIES"),
    constants("hosts/common/nts/establish.ts", "COOKIES_KEPT"),
    constants("hosts/common/nts/answer.ts", "COOKIES"),
  ],
  "octets of a cookie": [constants(`${A}/nts.ts`, "COOKIE_LIMIT"), constants("hosts/common/nts/establish.ts", "COOKIE_MOST")],
  "random octets of an NTS request": [sum(constants(`${A}/nts.ts`, "UNIQUE_ID_LENGTH", "NONCE_ROOM")), constants(`${C}/authentication.ts`, "NTS_RANDOM_OCTETS")],
  "a leap second that the clock watch saw": [constants(`${A}/clockwatch.ts`, "CLOCK_LEAPT"), constants(`${C}/steerer.ts`, "LEAPT")],
  "a step back that the clock watch saw": [constants(`${A}/clockwatch.ts`, "CLOCK_STEPPED"), inline(`${C}/steerer.ts`, /disturbed === (\d) \? "stepped back"/)],
  "a jump of the clock, 2^-32 s": [constants(`${A}/clockwatch.ts`, "LEAST_JUMP"), scaled(constants("hosts/common/clock/piecewise.ts", "LEAST_JUMP_NS"), 2 ** 32 / 1e9)],

  "a source that has a say": [
    constants("assembly/discipline/combine.ts", "SURVIVOR"),
    constants(`${A}/system.ts`, "SURVIVOR"),
    constants(`${A}/v5.ts`, "SURVIVOR"),
    inline("assembly/discipline/estimator.ts", /source\.selection == (\d)/),
    inline("assembly/discipline/selection.ts", /source\.selection = ([1-9]);/),
    constants(`${C}/source-variables.ts`, "SURVIVOR"),
    constants("hosts/browser/engine.ts", "SURVIVOR"),
  ],
  "a truechimer without one": [constants("assembly/discipline/combine.ts", "CAST_OFF"), inline("assembly/discipline/selection.ts", /numbered\(place\)\.selection = (\d);/)],
  "samples before a source is judged": [constants("assembly/discipline/combine.ts", "FEWEST_SAMPLES"), constants(`${C}/source-variables.ts`, "FEWEST_SAMPLES")],
  "algorithms": [constants("assembly/discipline/index.ts", "ESTIMATOR", "PLL_FLL"), inline(`${C}/discipline.ts`, /algorithm === "estimator" \? (\d) : (\d)/)],
  "a step that was refused": [constants("assembly/discipline/steps.ts", "STEP_REFUSED"), constants(`${C}/steerer.ts`, "STEP_REFUSED")],
  "steps near a limit": [
    turned<number[]>(constants("assembly/discipline/steps.ts", "STEPS_MOUNTING", "SINGLE_NEAR", "STARTUP_NEAR"), ([mounting, single, startup]) => [[mounting, "sum"], [single, "single"], [startup, "startup"]]),
    made(`${C}/steerer.ts`, "NEAR", (near) => near),
  ],
  "when a clock is stepped unless it is said": [
    inline("assembly/discipline/steps.ts", /let threshold: f64 = isDefined\(PLAIN\) \? ([\d.]+) : Infinity;\nlet corrections: i32 = isDefined\(PLAIN\) \? (\d+) : 0/),
    inline(`${C}/engine.ts`, /makeStep \?\? \{ least: ([\d.]+), count: (\d+) \}/),
  ],
  "the greatest step unless it is said": [constants("assembly/discipline/steps.ts", "PANIC"), inline(`${C}/engine.ts`, /stepLimits \?\? \{ single: (\d+),/)],
  "what a clock may be slewed by": [inline("assembly/discipline/clock.ts", /let slewLimit: f64 = ([\d.e-]+);/), constants("hosts/common/clock/piecewise.ts", "MAXIMUM_SLEW")],
  "what a frequency may be off by": [inline("assembly/discipline/clock.ts", /let frequencyLimit: f64 = ([\d.e-]+);/), constants("hosts/common/clock/piecewise.ts", "MAXIMUM_FREQUENCY")],
  "PHI": [constants(`${A}/system.ts`, "PHI"), constants(`${S}/state.ts`, "DISPERSION_RATE"), constants("hosts/browser/now.ts", "DRIFT"), constants("daemon/signing.ts", "DRIFT")],

  "what became of a reference clock's sample": [order(enumeration(`${A}/refclock.ts`, "SAMPLE_")), made(`${C}/refclock-core.ts`, "VERDICTS", (words) => words)],
  "options of a reference clock": [constants(`${A}/refclock.ts`, "REFCLOCK_NOSELECT", "REFCLOCK_PREFER"), constants(`${C}/refclock-core.ts`, "NOSELECT", "PREFER")],
  "the longest hold-over, s": [constants("assembly/discipline/memory.ts", "SILENCE"), constants(`${C}/refclock-core.ts`, "LONGEST_HOLDOVER")],
  "verdicts on a receiver's sentence": [
    order(enumeration("assembly/proto/nmea.ts", "NMEA_")),
    made<string[]>("hosts/common/refclock/nmea.ts", "WORDS", (words) => ["more", ...words].map((word) => (word === "times" ? "time" : word))),
  ],
  "sentences that tell of a fix": [constants("assembly/proto/nmea.ts", "NMEA_TIME", "NMEA_NO_FIX"), constants("hosts/common/refclock/nmea.ts", "TIME", "NO_FIX")],
  "sentences": [named("assembly/proto/nmea.ts", "RMC", "ZDA", "GGA", "GLL"), made("hosts/common/refclock/nmea.ts", "SENTENCES", (sentences) => sentences)],

  "access actions": [
    turned<Numbers>(enumeration("assembly/server/access.ts", "ACCESS_"), (actions) => inOrder(actions)),
    made<Numbers>(`${S}/limits.ts`, "ACTIONS", (actions) => inOrder(actions)),
  ],
  "access lists": [constants("assembly/server/access.ts", "LIST_TIME", "LIST_CONTROL", "RULES_MAXIMUM"), constants(`${S}/limits.ts`, "LIST_TIME", "LIST_CONTROL", "RULES_MAXIMUM")],
  "IPv4 in IPv6": [constants("assembly/server/access.ts", "MAPPED_LOW", "MAPPED_LENGTH"), constants(`${S}/address.ts`, "MAPPED", "MAPPED_LENGTH")],
  "the longest interval of a rate, s": [scaled(constants("assembly/server/ratelimit.ts", "LONGEST"), 2 ** -32), inline(`${S}/limits.ts`, /value >= 1e-6 && value <= ([\d_]+)/)],
  "the largest burst of a rate": [constants("assembly/server/ratelimit.ts", "LARGEST"), inline(`${S}/limits.ts`, /value >= 1 && value <= ([\d_]+)/)],
  "counters": [
    turned<string[]>(fields("assembly/server/counters.ts", "Counters"), (names) => [...names].sort().map((name) => [name, name.replace(/[A-Z]/g, "_$&").toUpperCase()])),
    made<Record<string, string>>(`${S}/clients.ts`, "COUNTERS", (names) => Object.entries(names).sort(([a], [b]) => (a < b ? -1 : 1))),
  ],
  "steps of a client's interval in a doubling": [inline("assembly/server/clients.ts", /\(31 - zeros\) \* (\d+)/), constants(`${S}/clients.ts`, "LOG_GRAIN")],
  "shapes of a smear": [constants("assembly/server/leap.ts", "SMEAR_LINEAR", "SMEAR_COSINE"), inline(`${S}/smear.ts`, /smear\.shape === "linear" \? (\d) : (\d)/)],
  "how far from its moment a reading gains, ns": [scaled(constants("assembly/server/clockline.ts", "REACH"), 1e9 / 2 ** 32), constants(`${S}/reading.ts`, "LONGEST_NS")],
  "where an answer says when its request came": [constants("assembly/proto/header.ts", "AT_RECEIVE"), constants(`${S}/state.ts`, "AT_RECEIVE")],
  "a control message": [constants("assembly/proto/control.ts", "CONTROL_HEADER", "CONTROL_DATA"), constants(`${S}/control.ts`, "HEADER", "FRAGMENT")],
  "NTPv5's reference identifiers": [
    constants("assembly/proto/v5ids.ts", "ID_RANDOM", "FILTER_OCTETS"),
    constants(`${S}/state.ts`, "REFERENCE_ID_RANDOM", "REFERENCE_IDS_OCTETS"),
    constants(`${C}/discipline.ts`, "REFERENCE_ID_RANDOM", "REFERENCE_IDS_OCTETS"),
  ],
  "generations of cookie keys": [
    constants("assembly/server/ntscookies.ts", "GENERATIONS", "COOKIE_KEY_LENGTH"),
    constants(`${S}/ntscookies.ts`, "COOKIE_GENERATIONS", "KEY_LENGTH"),
    constants("hosts/common/nts/generations.ts", "GENERATIONS_MOST", "KEY_OCTETS"),
  ],
  "a cookie's nonce": [
    turned<number[]>(constants("assembly/server/ntscookies.ts", "COOKIE_NONCE", "COOKIE_TAG"), ([nonce, tag]) => [tag! - nonce!]),
    constants(`${S}/ntscookies.ts`, "NONCE_LENGTH"),
  ],
  "why a card's stamp was refused": [
    turned<number[]>(constants("assembly/server/cards.ts", "REASON_STALE", "REASON_RECEIVED", "REASON_SENT", "REASON_SILENT"), ([stale, received, sent, silent]) =>
      inOrder({ stale: Math.log2(stale!), received: Math.log2(received!), receivedByProcess: Math.log2(received! << 1), sent: Math.log2(sent!), sentByProcess: Math.log2(sent! << 1), silent: Math.log2(silent!) }),
    ),
    {
      file: "hosts/native/server-cards.ts",
      parts: ["REFUSALS"],
      read: (from) => from.elements("REFUSALS").map((text) => {
        const [, reason, direction, byKernel] = /REASONS\.(\w+)(?:\(name, "(\w+)", (true|false)\))?$/.exec(text)!;
        return (reason === "misfit" ? `${direction}${byKernel === "true" ? "" : "ByProcess"}` : reason!).toLowerCase();
      }),
    },
  ],
  "a frame's check sequence": [constants("assembly/server/cards.ts", "CHECK_SEQUENCE"), constants("hosts/native/cards.ts", "CHECK_SEQUENCE")],

  "kinds of keys": [
    turned<Numbers>(enumeration("assembly/crypto/mac.ts", "MAC_", ["TRUNCATED"]), (kinds) => inOrder(kinds, 1)),
    made<string[]>(`${C}/keys.ts`, "KEY_TYPES", (kinds) => kinds.map((kind) => kind.toLowerCase())),
  ],
  "octets of a key": [constants("assembly/proto/keys.ts", "SECRET_LIMIT"), constants(`${C}/keys.ts`, "SECRET_LIMIT")],
  "keys of a server": [constants("assembly/proto/keys.ts", "KEY_COUNT"), constants(`${S}/secrets.ts`, "KEYS_MOST")],
  "records of key establishment": [
    turned<Numbers>(
      named("assembly/proto/ke.ts", "END", "NEXT_PROTOCOL", "ERROR", "WARNING", "AEAD", "COOKIE", "SERVER", "PORT", "COMPLIANT_EXPORTER", "DRAFT"),
      (records) => Object.fromEntries(Object.entries(records).map(([name, number]) => [camel(name), number])),
    ),
    made("hosts/common/nts/records.ts", "RECORD", (records) => records),
  ],
  "what octets of key establishment are": [order(named("assembly/proto/ke.ts", "COMPLETE", "MORE", "REFUSED")), made("hosts/common/core/cold.ts", "VERDICTS", (words) => words)],
  "how key establishment is told": [constants("assembly/proto/ke.ts", "HEAD", "EACH", "UNKNOWN_CRITICAL"), constants("hosts/common/core/cold.ts", "KE_HEAD", "KE_EACH", "KE_UNKNOWN_CRITICAL")],
  "a critical record": [constants("assembly/proto/ke.ts", "CRITICAL"), inline("hosts/common/core/cold.ts", /critical \? ([\da-fx]+) : 0/)],

  "versions of Roughtime": [constants("assembly/proto/roughtime.ts", "VERSION_1", "VERSION_DRAFT"), constants("hosts/common/roughtime/core.ts", "VERSION_1", "VERSION_DRAFT")],
  "versions offered": [
    constants("assembly/proto/roughtime-request.ts", "OFFERS_1", "OFFERS_DRAFT"),
    made<Numbers>("hosts/common/roughtime/core.ts", "OFFERS", (offers) => [offers[1], offers[0x8000000c]]),
  ],
  "lengths in Roughtime": [constants("assembly/proto/roughtime.ts", "HASH_LENGTH", "SIGNATURE_LENGTH"), constants("hosts/common/roughtime/core.ts", "NONCE_LENGTH", "SIGNATURE_LENGTH")],
  "a request of Roughtime": [constants("assembly/proto/roughtime-request.ts", "REQUEST_MESSAGE_LENGTH"), constants("hosts/common/roughtime/server.ts", "LEAST_UDP_MESSAGE")],
  "responses signed together": [constants("assembly/server/slots.ts", "SLOT_COUNT"), constants("hosts/common/roughtime/batch.ts", "BATCH")],
  "tags of Roughtime": [
    constants("assembly/proto/roughtime.ts", "FRAME_LENGTH", "TAG_SREP", "TAG_VER", "TAG_SIG", "TAG_MIDP"),
    constants("hosts/common/roughtime/grease.ts", "FRAME", "TAG_SREP", "TAG_VER", "TAG_SIG", "TAG_MIDP"),
  ],
  "verdicts on a response": [
    order(enumeration("assembly/proto/roughtime-response.ts", "")),
    made<string[]>("hosts/common/roughtime/verdicts.ts", "VERDICTS", (sentences) => sentences.map((sentence) => VERDICT_BEGINNINGS.find(([, begins]) => sentence.startsWith(begins))?.[0])),
  ],
  "the verdict that names a tag": [constants("assembly/proto/roughtime-response.ts", "MISSING"), inline("hosts/common/roughtime/verdicts.ts", /verdict === (\d)/)],

  "a header": [
    constants("assembly/proto/header.ts", "HEADER_LENGTH"),
    constants("hosts/browser/pagecore.ts", "REQUEST"),
    constants("hosts/browser/httptime.ts", "PACKET"),
    constants("hosts/browser/timesource.ts", "PACKET"),
    constants("hosts/common/relay/payload.ts", "HEADER"),
  ],
  "the longest packet that a page takes": [constants("assembly/server/slots.ts", "SLOT_SIZE"), constants("hosts/browser/pagecore.ts", "LONGEST")],
  "seconds from 1900 to 1970": [
    constants("assembly/proto/timestamp.ts", "UNIX_EPOCH"),
    constants("assembly/proto/date.ts", "UNIX_EPOCH"),
    constants("assembly/server/ancillary.ts", "UNIX_EPOCH"),
    constants("hosts/browser/now.ts", "UNIX_EPOCH"),
    constants("hosts/browser/httptime.ts", "UNIX_EPOCH"),
    constants(`${S}/leapfile.ts`, "UNIX_EPOCH"),
  ],
  "Linux' numbers": [
    constants("assembly/server/ancillary.ts", "LEVEL_IP", "LEVEL_SOCKET", "TYPE_STAMP", "TYPE_STAMPS", "STAMP_TRANSMIT", "STAMP_TRANSMIT_CARD", "TYPE_STAMPER", "TYPE_IP_PKTINFO",
      "TYPE_IP_ERROR", "ORIGIN_STAMP"),
    constants("hosts/native/linux.ts", "SOL_IP", "SOL_SOCKET", "SO_TIMESTAMPNS", "SO_TIMESTAMPING", "SOF_TIMESTAMPING_TX_SOFTWARE", "SOF_TIMESTAMPING_TX_HARDWARE",
      "SCM_TIMESTAMPING_PKTINFO", "IP_PKTINFO", "IP_RECVERR", "SO_EE_ORIGIN_TIMESTAMPING"),
  ],
  "Linux' numbers of a batch": [
    constants("assembly/server/mmsg.ts", "AF_INET", "AF_INET6", "MSG_TRUNC"),
    constants("hosts/native/linux.ts", "AF_INET", "AF_INET6", "MSG_TRUNC"),
  ],
  "a message of a batch": [constants("assembly/server/ancillary.ts", "MMSG_SIZE"), constants("hosts/native/server-loop.ts", "MMSG_BYTES")],
  "an address of a batch": [constants("assembly/server/mmsg.ts", "NAME_LENGTH"), constants("hosts/native/sockaddr.ts", "SOCKADDR_BYTES")],
};

/** How hosts/common/roughtime/verdicts.ts begins to say each. */
const VERDICT_BEGINNINGS: readonly (readonly [string, string])[] = [
  ["validIfSigned", "valid"], ["malformed", "malformed"], ["noRequest", "the request"], ["missing", "a mandatory tag"], ["notAResponse", "not a response"],
  ["otherNonce", "its nonce"], ["otherVersion", "its version"], ["versionsOutOfOrder", "its list of versions"], ["noRadius", "its radius"], ["notDelegated", "its midpoint"],
  ["pathOutOfOrder", "its path"], ["indexLeftOver", "its index"], ["otherRoot", "our request is not in the tree"],
];

describe.each(Object.entries(MIRRORS))("%s", (_, [core, ...others]) => {
  it.each(others.map((other) => [other.file, other] as const))("%s has the core's", (_file, other) => {
    expect(trial(other).says).toEqual(trial(core).says);
  });

  // Whatever passed by this test would be no mirror.
  it("would not agree after a change of either side", () => {
    const { says } = trial(core);
    for (const reading of [core, ...others]) {
      for (const [part, changed] of trial(reading).altered) expect(changed, `${reading.file}: ${part}`).not.toEqual(says);
    }
  });
});

describe("the built core", () => {
  const core = new Core();

  it("knows the algorithms of NTS that hosts know, with keys as long", () => {
    const numbers = Array.from({ length: 256 }, (_, id) => id);
    const lengths = (of: (id: number) => number | undefined) => numbers.flatMap((id) => (of(id) ? [[id, of(id)]] : []));
    expect(lengths((id) => core.exports.aeadKeyLength(id))).toEqual(lengths(keyLength));
    expect(lengths(keyLength).map(([id]) => id)).toEqual([...DEFAULT_AEADS].sort((a, b) => a! - b!));
    expect(core.exports.aeadKeyLength(AES_128_GCM_SIV)).toBe(16);
  });

  it("takes keys of AES of the lengths that hosts demand, and no others", () => {
    const keys = new Declarations(`${C}/keys.ts`);
    const kinds = keys.constant("KEY_TYPES") as string[];
    const fitting = Object.entries(keys.constant("AES_LENGTHS") as Numbers).map(([kind]) => {
      const number = kinds.indexOf(kind) + 1;
      return [kind, Array.from({ length: 65 }, (_, length) => length).filter((length) => core.exports.macKeyFits(number, length))];
    });
    expect(fitting).toEqual(Object.entries(keys.constant("AES_LENGTHS") as Numbers).map(([kind, length]) => [kind, [length]]));
  });

  it("has ML-KEM of the lengths that TLS has", () => {
    const tls = new Declarations("hosts/common/tls/mlkem.ts");
    const lengths = ["SEED", "CIPHERTEXT", "KEY", "SECRET"] as const;
    expect(lengths.map((name) => tls.constant(`${name}_LENGTH`))).toEqual(lengths.map((name) => core.constant(`MLKEM_${name}`)));
  });

  it("tells its counters to hosts, all of them", () => {
    const exported = Object.keys(new WebAssembly.Instance(coreModule(), {}).exports).filter((name) => name.startsWith("COUNTERS_"));
    const told = Object.values(new Declarations(`${S}/clients.ts`).constant("COUNTERS") as Record<string, string>);
    expect(exported.map((name) => name.slice("COUNTERS_".length)).sort()).toEqual([...told].sort());
  });
});
