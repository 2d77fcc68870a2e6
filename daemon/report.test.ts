// SPDX-License-Identifier: MIT OR Apache-2.0
/** What the daemon tells: from the engine's state to plain data that JSON can carry. @module */

import { describe, expect, it } from "vitest";
import type { SourceState, TrackingState } from "../hosts/common/client/engine.ts";
import { UpdateHistory } from "./history.ts";
import { refidHex, refidOf } from "./refid.ts";
import { SourceModes, takeServed, takeSnapshot, type Watched } from "./report.ts";

const NOW = 1_800_000_000_000_000_000n;
const TRACKING = {
  synchronised: true, refid: "192.0.2.7", peer: 0, stratum: 2, leap: 0, survivors: 1, rootDelay: 0.01, rootDispersion: 0.001,
  offset: 1e-6, uncertainty: 0.006, frequencyPpm: -12.5, skewPpm: 0.02, poll: 6,
} as unknown as TrackingState;
const SOURCE = {
  source: "time.example.org", address: "192.0.2.7:123", isPeer: true, selection: "survivor", samples: 9, lastSample: 2, stratum: 1, leap: 0, refid: "GPS",
  poll: 6, reach: 0o377, offset: 2e-6, offsetDeviation: 1e-6, frequency: 1e-9, frequencyDeviation: 2e-8, delay: 0.004, jitter: 1e-5,
  rootDelay: 0.002, rootDispersion: 0.0005, sent: 9, used: 9, interleaved: 7, unfit: 0, ignored: 0, kisses: 0, lastKiss: "", lastProblems: [], lastError: undefined,
} as unknown as SourceState;
const LOST = { synchronised: false, refid: "", peer: -1, stratum: 16, leap: 3, survivors: 0, uncertainty: Infinity } as unknown as TrackingState;

function snapshot({ tracking = {}, source = {}, ...rest }: Partial<Watched> & { tracking?: object; source?: object } = {}) {
  const engine = { tracking: () => ({ ...TRACKING, ...tracking }), sources: () => [{ ...SOURCE, ...source }] };
  return takeSnapshot({ mode: "system", engine, modes: new SourceModes([]), history: new UpdateHistory(), now: () => NOW, wallNow: () => NOW, ...rest });
}

function served(tracking: object = {}, peer: SourceState | undefined = SOURCE) {
  return takeServed({ tracking: () => ({ ...TRACKING, ...tracking }), systemPeer: () => peer, referenceIds: () => new Uint8Array(512) }, NOW);
}

describe("a snapshot", () => {
  it("tells the clock in the vocabulary", () => {
    const { tracking } = snapshot();
    expect(tracking).toMatchObject({ refid: "C0000207", address: "192.0.2.7", source: "time.example.org", stratum: 2, offset: 1e-6, frequencyPpm: -12.5 });
    expect(tracking.referenceTime).toBe(String(NOW - 2_000_000_000n));
    expect(tracking.residualFrequencyPpm).toBeCloseTo(0.001, 12);
  });

  it("knows neither offset nor reference without agreement, and says null", () => {
    const { tracking } = snapshot({ tracking: LOST, source: { isPeer: false, samples: 0 } });
    expect(tracking).toMatchObject({ refid: "00000000", address: null, source: null, referenceTime: null, offset: null, residualFrequencyPpm: null, uncertainty: null });
  });

  it("tells in mode observe what the system clock is off by, not the virtual one", () => {
    expect(snapshot({ mode: "observe", wallNow: () => NOW - 5_000_000n }).tracking.offset).toBeCloseTo(0.005001, 9);
    expect(snapshot({ mode: "virtual", wallNow: () => NOW - 5_000_000n }).tracking.offset).toBe(1e-6);
  });

  it("tells of a reference clock without a say by name what it told last, and nothing of one that has not", () => {
    const radio = { source: "refclock:gps:/dev/ttyS0", name: "GPS", address: undefined, isPeer: false, samples: 0, selection: "undecided" };
    const { sources, sourcestats } = snapshot({ source: { ...radio, watched: { offset: -0.14, bound: 0.05 }, lastSample: 3 } });
    expect(sources[0]).toMatchObject({ name: "GPS", mode: "refclock", state: "?", offset: -0.14, rootDistance: 0.05, lastSample: 3 });
    expect(sourcestats[0]).toMatchObject({ name: "GPS", samples: 0, offset: null });
    expect(snapshot({ source: { ...radio, lastSample: undefined } }).sources[0]).toMatchObject({ offset: null, rootDistance: null, lastSample: null });
  });

  it("survives JSON: nothing in it is infinite, undefined or a bigint", () => {
    const told = snapshot({ tracking: { uncertainty: Infinity }, source: { offsetDeviation: Infinity, lastSample: undefined, address: undefined } });
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
  });

  it.each<[string, object, string]>([
    ["the system peer", {}, "*"],
    ["a survivor", { isPeer: false }, "+"],
    ["a selectable source", { isPeer: false, selection: "selectable" }, "-"],
    ["a falseticker", { isPeer: false, selection: "falseticker" }, "x"],
    ["an unreachable source", { isPeer: false, selection: "unreachable" }, "?"],
    ["a source without samples", { isPeer: false, selection: "falseticker", samples: 0 }, "?"],
  ])("marks %s %j with %s", (_, source, state) => {
    expect(snapshot({ source }).sources[0]!.state).toBe(state);
  });

  it.each<[string, { source: string; mode?: "client" | "symmetric" | "broadcast" }[], string]>([
    ["a configured source", [{ source: "time.example.org" }], "client"],
    ["one that broadcasts", [{ source: " time.example.org", mode: "broadcast" }], "broadcast"],
    ["a peer", [{ source: "time.example.org", mode: "symmetric" }], "symmetric"],
    ["a peer that came unasked", [{ source: "192.0.2.1" }], "symmetric"],
  ])("tells the mode of %s", (_, sources, mode) => {
    expect(snapshot({ modes: new SourceModes(sources) }).sources[0]).toMatchObject({ mode, interleaved: 7 });
  });

  it("tells whom a source follows, and null where that is not known", () => {
    expect(["GPS", ""].map((refid) => snapshot({ source: { refid } }).sources[0]!.refid)).toEqual(["GPS", null]);
  });

  it("bounds a source's error by half of the round trip and all dispersion", () => {
    expect(snapshot().sources[0]!.rootDistance).toBeCloseTo(0.003 + 0.0005 + 1e-6, 12);
  });
});

describe("what is served", () => {
  it("is the clock as its system peer was last heard", () => {
    expect(served()).toMatchObject({ stratum: 2, leap: 0, refid: 0xc0000207, rootDelay: 0.01, rootDispersion: 0.001, referenceNs: NOW - 2_000_000_000n });
    expect(served().referenceIds).toHaveLength(512);
  });

  it.each<[string, object]>([["a dispersion that the format cannot tell", { rootDispersion: 16 }], ["stratum 16", { stratum: 16 }], ["nobody to follow", LOST]])("is no stratum with %s", (_, tracking) => {
    expect(served(tracking)).toMatchObject({ stratum: undefined, rootDelay: 0, rootDispersion: 0 });
  });

  it("is no stratum while nobody was heard", () => {
    expect(served({}, { ...SOURCE, lastSample: undefined }).stratum).toBeUndefined();
  });
});

describe("a reference identifier", () => {
  it("is an IPv4 address itself", () => {
    expect(refidHex(refidOf("192.0.2.7"))).toBe("C0000207");
  });

  it("is the beginning of the MD5 of an IPv6 address", async () => {
    const { createHash } = await import("node:crypto");
    const octets = Buffer.from("20010db8000000000000000000000001", "hex");
    const expected = createHash("md5").update(octets).digest().readUInt32BE(0);
    expect(refidOf("2001:db8::1")).toBe(expected);
  });

  it("of nothing is 0", () => {
    expect(refidOf("")).toBe(0);
  });
});
