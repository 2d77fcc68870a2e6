// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { TransmitStamps } from "./transmit.ts";

const WAIT_MS = 2;

describe("transmit stamps", () => {
  it("go to the datagram of their number, in whatever order they come", async () => {
    const stamps = new TransmitStamps(WAIT_MS);
    const sent = [1000n, 2000n, 3000n].map((userNs) => stamps.sent(userNs, 0));
    stamps.arrived(2, 3100n);
    stamps.arrived(0, 1100n);
    stamps.arrived(1, 2100n);
    expect((await Promise.all(sent)).map(({ sentNs }) => sentNs)).toEqual([1100n, 2100n, 3100n]);
    expect(stamps.waiting).toBe(0);
  });

  it("that are overdue leave the user stamp, and say so", async () => {
    const stamps = new TransmitStamps(WAIT_MS);
    const sent = stamps.sent(1000n, 10);
    stamps.expire(10 + WAIT_MS - 0.1);
    expect(stamps.waiting).toBe(1);
    stamps.expire(10 + WAIT_MS);
    expect(await sent).toEqual({ sentNs: 1000n, stamp: "user" });
  });

  it("that come late are not given to the next datagram", async () => {
    const stamps = new TransmitStamps(WAIT_MS);
    const first = stamps.sent(1000n, 0);
    stamps.expire(WAIT_MS);
    const second = stamps.sent(5_000_000n, 3);
    stamps.arrived(0, 4_999_000n);
    expect(stamps.waiting).toBe(1);
    stamps.arrived(1, 5_000_100n);
    expect((await first).stamp).toBe("user");
    expect(await second).toEqual({ sentNs: 5_000_100n, stamp: "kernel" });
  });

  it("from before the counter started again are not given to the new bearer of their number", async () => {
    const stamps = new TransmitStamps(WAIT_MS);
    const first = stamps.sent(1000n, 0);
    stamps.restart();
    expect((await first).stamp).toBe("user");
    const second = stamps.sent(9_000_000n, 1);
    stamps.arrived(0, 8_000_000n);
    expect(stamps.waiting).toBe(1);
    stamps.arrived(0, 9_000_000n);
    expect(await second).toEqual({ sentNs: 9_000_000n, stamp: "kernel" });
  });

  it("are waited for no longer when they never come, until one does", async () => {
    const stamps = new TransmitStamps(WAIT_MS);
    for (let i = 0; i < 8; i++) {
      void stamps.sent(1n, 0);
      stamps.expire(WAIT_MS);
    }
    void stamps.sent(1n, 0);
    stamps.expire(0);
    expect(stamps.waiting).toBe(0);
    const seen = stamps.sent(5n, 0);
    stamps.arrived(9, 6n);
    expect((await seen).stamp).toBe("kernel");
    void stamps.sent(7n, 0);
    stamps.expire(0);
    expect(stamps.waiting).toBe(1);
  });

  it("of numbers that nobody has are ignored", () => {
    const stamps = new TransmitStamps(WAIT_MS);
    stamps.arrived(0, 1n);
    stamps.arrived(0xffffffff, 1n);
    expect(stamps.waiting).toBe(0);
  });
});
