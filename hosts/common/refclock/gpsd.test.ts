// SPDX-License-Identifier: MIT OR Apache-2.0
/** gpsd's reports, as its documentation and a real one have them, in any pieces, and what is none. */
import { describe, expect, it } from "vitest";
import type { ByteStream } from "../stream.ts";
import { GpsdClock, type GpsdOptions } from "./gpsd.ts";
import type { RefClockSample } from "./refclock.ts";

const NOW = 1_795_363_090_200_000_000n;
const fix = (time: string, mode = 3) => JSON.stringify({ class: "TPV", device: "/dev/ttyS0", mode, time });
const pair = (kind: "PPS" | "TOFF", real: number, clock: number, nsec: number, device = "/dev/ttyS0") =>
  `{"class":"${kind}","device":"${device}","real_sec":${real}, "real_nsec":0,"clock_sec":${clock},"clock_nsec":${nsec},"precision":-20}`;
const FIX = fix("2026-11-22T15:58:10.000Z");
const SECOND = 1_795_363_090;

/** A clock that is told `lines`, each at its moment after NOW, s. */
function told(lines: readonly (readonly [after: number, line: string])[], options: Partial<GpsdOptions> = {}): RefClockSample[] {
  const clock = new GpsdClock({ connectTcp: undefined, now: () => NOW }, { endpoint: { address: "127.0.0.1", port: 2947 }, dispersion: 0.05, ...options });
  const samples: RefClockSample[] = [];
  clock["tell"] = (sample: RefClockSample) => void samples.push(sample);
  for (const [after, line] of lines) clock.take(line, NOW + BigInt(after * 1e9));
  return samples;
}

describe("gpsd", () => {
  it("tells when sentences began, once there is a fix", () => {
    const samples = told([[0, pair("TOFF", SECOND, SECOND, 103_402_921)], [0.1, FIX], [1, pair("TOFF", SECOND + 1, SECOND + 1, 101_648_854)]]);
    expect(samples).toEqual([{ timeNs: BigInt(SECOND + 1) * 1_000_000_000n, receivedNs: BigInt(SECOND + 1) * 1_000_000_000n + 101_648_854n, dispersion: 0.05 }]);
  });

  it("is heeded for its pulses where it has some, else for its sentences", () => {
    const samples = told([
      [0, FIX],
      [1, pair("PPS", SECOND + 1, SECOND, 999_999_700)], [1, pair("TOFF", SECOND + 1, SECOND + 1, 100_000_000)], [1, fix("2026-11-22T15:58:11.000Z")],
      [20, FIX], [20, pair("TOFF", SECOND + 20, SECOND + 20, 100_000_000)],
    ]);
    expect(samples.map(({ dispersion }) => dispersion)).toEqual([0.05, 1e-6, 0.05, 0.05]);
    expect(samples[1]!.timeNs - samples[1]!.receivedNs).toBe(300n);
  });

  it("without a fix tells nothing, nor long after one", () => {
    expect(told([[0, fix("2026-11-22T15:58:10.000Z", 1)], [0, pair("PPS", SECOND, SECOND, 0)]])).toEqual([]);
    expect(told([[0, FIX], [7, pair("PPS", SECOND + 7, SECOND + 7, 0)]])).toHaveLength(1);
  });

  it("on another machine is heeded only for when its reports came here", () => {
    const samples = told([[0, FIX], [1, pair("PPS", SECOND + 1, SECOND + 1, 0)], [1, pair("TOFF", SECOND + 1, SECOND + 1, 0)], [1, fix("2026-11-22T15:58:11.25Z")]], { endpoint: { address: "192.0.2.1", port: 2947 } });
    expect(samples.map(({ receivedNs }) => receivedNs)).toEqual([NOW, NOW + 1_000_000_000n]);
    expect(samples[1]!.timeNs).toBe(BigInt(SECOND + 1) * 1_000_000_000n + 250_000_000n);
  });

  it("is heeded for the device that is meant alone", () => {
    const other = JSON.stringify({ class: "TPV", device: "/dev/ttyS1", mode: 3, time: "2026-11-22T15:58:10.000Z" });
    expect(told([[0, FIX], [0, other], [1, pair("PPS", SECOND, SECOND, 0, "/dev/ttyS1")]], { device: "/dev/ttyS1" })).toHaveLength(2);
  });

  it.each([
    ["no JSON", "{"], ["no object", "7"], ["null", "null"], ["a list", "[]"], ["no class", "{}"],
    ["a time that is none", fix("2026-13-22T15:58:10.000Z")], ["a time without zone", fix("2026-11-22T15:58:10")], ["a time of a number", `{"class":"TPV","mode":3,"time":1}`],
    ["a second that is none", `{"class":"PPS","real_sec":"1","real_nsec":0,"clock_sec":1,"clock_nsec":0}`],
    ["nanoseconds beyond a second", pair("PPS", SECOND, SECOND, 1_000_000_000)], ["a negative second", pair("PPS", -1, SECOND, 0)], ["fractions", pair("PPS", SECOND + 0.5, SECOND, 0)],
  ])("that says %s tells nothing and breaks nothing", (_, line) => {
    expect(told([[0, FIX], [1, line]])).toHaveLength(1);
  });
});

describe("gpsd's stream", () => {
  function streamOf(pieces: readonly string[], written: string[]): ByteStream {
    const waiting = [...pieces];
    return {
      read: () => (waiting.length > 0 ? Promise.resolve(new TextEncoder().encode(waiting.shift())) : new Promise(() => {})),
      write: async (data) => void written.push(new TextDecoder().decode(data)),
      close: () => {},
    };
  }

  it("may be cut anywhere", async () => {
    const text = `${FIX}\n${pair("PPS", SECOND + 1, SECOND + 1, 5)}\n`;
    for (let at = 0; at <= text.length; at += 7) {
      const written: string[] = [];
      const clock = new GpsdClock({ connectTcp: async () => streamOf([text.slice(0, at), text.slice(at)], written), now: () => NOW }, { endpoint: { address: "::1", port: 1 }, dispersion: 0.05 });
      const samples: RefClockSample[] = [];
      for await (const sample of clock) if (samples.push(sample) === 2) break;
      expect(samples[1]!.receivedNs).toBe(BigInt(SECOND + 1) * 1_000_000_000n + 5n);
      expect(written).toEqual(['?WATCH={"enable":true,"json":true,"pps":true};\n']);
    }
  });

  it("whose lines do not end is given up", async () => {
    const clock = new GpsdClock({ connectTcp: async () => streamOf(["x".repeat(70_000)], []), now: () => NOW }, { endpoint: { address: "::1", port: 1 }, dispersion: 0.05 });
    clock[Symbol.asyncIterator]();
    await expect.poll(() => clock.health.message).toContain("expected a line of at most 65536 characters");
    clock.close();
  });
});
