// SPDX-License-Identifier: MIT OR Apache-2.0
/** Which leap seconds are armed; the history that `tracking` tells; the served clock. @module */

import { describe, expect, it } from "vitest";
import type { Datagram, Host } from "../hosts/common/host.ts";
import { UpdateHistory } from "./history.ts";
import { leapToArm } from "../hosts/common/clock/leap.ts";
import { carry, virtualHost, type ClockReading } from "./served.ts";

const ns = (date: string) => BigInt(Date.parse(date)) * 1_000_000n;
const NOW = ns("2026-06-15T12:00:00Z");

describe("a leap second", () => {
  it.each<[number, string, number]>([
    [1, "2026-12-31T00:00:00Z", 1],
    [1, "2026-12-31T23:59:59Z", 1],
    [2, "2026-06-30T12:00:00Z", 2],
    [1, "2028-02-29T12:00:00Z", 1],
    [1, "2028-02-28T12:00:00Z", 0],
    [1, "2026-12-30T23:59:59Z", 0],
    // Servers that forget to stop announcing it.
    [1, "2027-01-01T00:00:00Z", 0],
    [0, "2026-12-31T12:00:00Z", 0],
    [3, "2026-12-31T12:00:00Z", 0],
  ])("announced as %i is on %s armed as %i", (leap, date, armed) => {
    expect(leapToArm(leap, ns(date))).toBe(armed);
  });
});

describe("the history", () => {
  it("knows nothing before the first update, and no interval before the second", () => {
    const history = new UpdateHistory();
    expect([history.lastOffset, history.rmsOffset, history.updateInterval]).toEqual([undefined, undefined, undefined]);
    history.note(0.1, 0n);
    expect([history.lastOffset, history.rmsOffset, history.updateInterval]).toEqual([0.1, 0.1, undefined]);
    history.note(-0.01, 64_000_000_000n);
    expect([history.lastOffset, history.updateInterval]).toEqual([-0.01, 64]);
  });

  it("forgets the large offsets of the start as soon as they are corrected", () => {
    const history = new UpdateHistory();
    for (const [index, offset] of [5, 0.1, 0.001, 1e-6].entries()) history.note(offset, BigInt(index));
    expect(history.rmsOffset).toBeCloseTo(1e-6, 12);
  });

  it("tends to the root mean square", () => {
    const history = new UpdateHistory();
    for (let index = 0; index < 1000; index++) history.note(index % 2 ? 3e-6 : -4e-6, BigInt(index));
    expect(history.rmsOffset).toBeGreaterThan(3.3e-6);
    expect(history.rmsOffset).toBeLessThan(3.8e-6);
  });
});

describe("the served clock", () => {
  const reading: ClockReading = { wallNs: NOW, timeNs: NOW + 500n, rate: 1e-4 };

  it("runs straight on from its last reading, both ways", () => {
    expect(carry(reading, NOW)).toBe(NOW + 500n);
    expect(carry(reading, NOW + 1_000_000_000n)).toBe(NOW + 500n + 1_000_100_000n);
    expect(carry(reading, NOW - 1_000_000_000n)).toBe(NOW + 500n - 1_000_100_000n);
  });

  it("does not multiply a step of the wall clock by its rate", () => {
    expect(carry(reading, NOW + 3600_000_000_000n)).toBe(NOW + 500n + 3600_000_000_000n);
  });

  it("stamps datagrams with its own time, once there is a reading", async () => {
    let latest: ClockReading | undefined;
    const came: bigint[] = [];
    let arrive: (datagram: Datagram) => void = () => {};
    const host = {
      clock: { now: () => NOW, monotonic: () => 0n, precision: 1e-9, description: "fake" },
      openUdp: (_options: unknown, handlers: { onDatagram: typeof arrive }) => {
        arrive = handlers.onDatagram;
        return Promise.resolve({});
      },
    } as unknown as Host;
    const virtual = virtualHost(host, () => latest);
    await virtual.openUdp!({ family: 4 }, { onDatagram: ({ receivedNs }) => void came.push(receivedNs), onError: () => {} });
    const datagram = { data: new Uint8Array(), from: { address: "192.0.2.1", port: 1 }, receivedNs: NOW, stamp: "user" } as const;
    arrive(datagram);
    latest = reading;
    arrive(datagram);
    expect(came).toEqual([NOW, NOW + 500n]);
    expect(virtual.clock.now()).toBe(NOW + 500n);
  });
});
