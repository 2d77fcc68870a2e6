// SPDX-License-Identifier: MIT OR Apache-2.0
/** What ntpq is told of a snapshot: each state its tally, what is not known yet as nothing, never NaN. */
import { describe, expect, it } from "vitest";
import { controlReport } from "./ntpq.ts";
import type { Snapshot, SourceReport } from "./report.ts";

const NOW = 1_800_000_000_000_000_000n;
const known = {
  source: "ntp.example", address: "192.0.2.1", mode: "client", state: "*", selection: "survivor", stratum: 1, leap: 0, refid: "GPS", poll: 6, reach: 0o377, lastSample: 2.5,
  offset: 0.001, rootDistance: 0.01, delay: 0.02, rootDelay: 0.003, rootDispersion: 0.004, sent: 9, used: 9, interleaved: 0, authentication: "nts", unfit: 0, ignored: 0,
  kisses: 0, lastKiss: "", problems: [], lastError: null,
} as const satisfies SourceReport;

function snapshot(sources: readonly SourceReport[], tracking: object = {}): Snapshot {
  const sourcestats = sources.map(({ source, address }) => ({ source, address, jitter: 0.00005 }));
  return { tracking: { offset: null, rmsOffset: null, frequencyPpm: -3, skewPpm: 0.1, poll: 6, ...tracking }, sources, sourcestats } as unknown as Snapshot;
}

describe("a snapshot for ntpq", () => {
  it("has each source with what was measured, and when", () => {
    expect(controlReport(snapshot([known], { offset: 0.5, rmsOffset: 0.25 }), NOW)).toEqual({
      offset: 0.5, jitter: 0.25, frequencyPpm: -3, wanderPpm: 0.1, poll: 6,
      sources: [{
        address: "192.0.2.1", name: "ntp.example", refid: 0x47505300, stratum: 1, leap: 0, mode: 3, peerMode: 4, poll: 6, reach: 0o377, offset: 0.001, delay: 0.02,
        jitter: 0.00005, rootDelay: 0.003, rootDispersion: 0.004, authenticated: true, selection: "peer", receivedNs: NOW - 2_500_000_000n,
      }],
    });
  });

  it.each([["*", "peer"], ["+", "candidate"], ["-", "outlier"], ["x", "falseticker"], ["?", "reject"]] as const)("tells %s as %s", (state, selection) => {
    expect(controlReport(snapshot([{ ...known, state }]), NOW).sources![0]!.selection).toBe(selection);
  });

  it("tells whom a source follows: an address, and nothing where NTPv5 does not tell", () => {
    const refids = ["192.0.2.9", null].map((refid) => controlReport(snapshot([{ ...known, refid }]), NOW).sources![0]!.refid);
    expect(refids).toEqual([0xc0000209, 0]);
  });

  it.each([
    ["192.0.2.1:123", { address: "192.0.2.1", port: 123 }], ["[2001:db8::1]:124", { address: "2001:db8::1", port: 124 }],
    ["192.0.2.1", { address: "192.0.2.1" }], ["2001:db8::1", { address: "2001:db8::1" }],
  ])("tells address and port of %s apart", (address, place) => {
    expect(controlReport(snapshot([{ ...known, address }]), NOW).sources![0]).toMatchObject(place);
  });

  it("tells a source that never answered as unreachable at stratum 16, and a clock that is not known without an offset", () => {
    const silent = { ...known, address: null, state: "?", refid: null, lastSample: null, offset: null, delay: null, reach: 0, stratum: 0 } as const;
    const report = controlReport(snapshot([silent]), NOW);
    expect(report.sources![0]).toMatchObject({ address: "127.127.0.0", refid: 0x494e4954, stratum: 16, leap: 3, offset: 0, delay: 0, selection: "reject" });
    expect(report.sources![0]).not.toHaveProperty("receivedNs");
    expect(report).not.toHaveProperty("offset");
  });
});
