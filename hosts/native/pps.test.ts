// SPDX-License-Identifier: MIT OR Apache-2.0
/** Kernel pulses against a fake layer that fills <linux/pps.h>'s structures. No machine of ours has a PPS device. */
import { describe, expect, it, vi } from "vitest";
import { PpsClock } from "../common/refclock/pps.ts";
import type { RefClockSample } from "../common/refclock/refclock.ts";
import { O_RDONLY, O_RDWR, type DeviceLayer } from "./device.ts";
import { SystemError } from "./errno.ts";
import * as pps from "./pps.ts";

const [EACCES, ENODEV, ETIMEDOUT] = [13, 19, 110];

/** A PPS device as Linux' drivers/pps/pps.c has it. */
class FakePps implements DeviceLayer {
  capabilities = pps.PPS_CAPTUREASSERT | pps.PPS_CAPTURECLEAR | pps.PPS_TSFMT_TSPEC;
  mode = 0;
  writable = true;
  gone = false;
  readonly opened = new Set<number>();
  readonly edges = { assert: { sequence: 0, atNs: 0n }, clear: { sequence: 0, atNs: 0n } };
  /** Flags of each open. */
  readonly flags: number[] = [];

  /** A pulse comes: recorded only where that edge is captured. */
  pulse(edge: "assert" | "clear", atNs: bigint): void {
    const bit = edge === "assert" ? pps.PPS_CAPTUREASSERT : pps.PPS_CAPTURECLEAR;
    if (!(this.mode & bit)) return;
    this.edges[edge].sequence = (this.edges[edge].sequence + 1) >>> 0;
    this.edges[edge].atNs = atNs;
  }
  open(path: string, flags: number): number {
    if (path !== "/dev/pps0") throw new SystemError("open", ENODEV, path);
    if (flags === O_RDWR && !this.writable) throw new SystemError("open", EACCES, path);
    this.flags.push(flags);
    this.opened.add(5);
    return 5;
  }
  close(fd: number): void {
    this.opened.delete(fd);
  }
  ioctl(fd: number, request: number, data: Uint8Array): number {
    if (!this.opened.has(fd) || this.gone) throw new SystemError("ioctl", ENODEV);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    switch (request) {
      case pps.PPS_GETCAP:
        view.setInt32(0, this.capabilities, true);
        return 0;
      case pps.PPS_GETPARAMS:
        view.setInt32(0, pps.PPS_API_VERS_1, true);
        view.setInt32(4, this.mode, true);
        return 0;
      case pps.PPS_SETPARAMS:
        if (!this.writable) throw new SystemError("ioctl", 1);
        if (view.getInt32(0, true) !== pps.PPS_API_VERS_1) throw new SystemError("ioctl", 22);
        this.mode = view.getInt32(4, true);
        return 0;
      case pps.PPS_FETCH: {
        // A timeout of zero that is not marked invalid answers at once.
        if (view.getBigInt64(48, true) !== 0n || view.getInt32(56, true) !== 0) throw new SystemError("ioctl", ETIMEDOUT);
        for (const [edge, sequence, at] of [["assert", 0, 8], ["clear", 4, 24]] as const) {
          view.setUint32(sequence, this.edges[edge].sequence, true);
          view.setBigInt64(at, this.edges[edge].atNs / 1_000_000_000n, true);
          view.setInt32(at + 8, Number(this.edges[edge].atNs % 1_000_000_000n), true);
        }
        return 0;
      }
      default:
        throw new SystemError("ioctl", 25, `0x${request.toString(16)}`);
    }
  }
  interfaceIoctl(): number {
    throw new Error("no interface");
  }
  clockNs(): bigint {
    return 0n;
  }
}

const AT = 1_900_000_000_000_001_234n;
const SECOND = 1_000_000_000n;

describe("a PPS device", () => {
  it("gives each pulse once, as the kernel stamped it", () => {
    const device = new FakePps();
    const source = new pps.PulseSource(device, "/dev/pps0", ["assert"]);
    expect(source.fetch()).toEqual([]);
    device.pulse("assert", AT);
    expect(source.fetch()).toEqual([{ edge: "assert", atNs: AT, sequence: 1 }]);
    expect(source.fetch()).toEqual([]);
    device.pulse("assert", AT + SECOND);
    expect(source.fetch()).toHaveLength(1);
  });

  it("is set to capture the edges that are wanted, beside those that others want", () => {
    const device = new FakePps();
    device.mode = pps.PPS_CAPTUREASSERT;
    new pps.PulseSource(device, "/dev/pps0", ["clear"]);
    expect(device.mode).toBe(pps.PPS_CAPTUREASSERT | pps.PPS_CAPTURECLEAR | pps.PPS_TSFMT_TSPEC);
  });

  it("that captures already is left as it is, also by who may only read it", () => {
    const device = new FakePps();
    device.mode = pps.PPS_CAPTUREASSERT | pps.PPS_TSFMT_TSPEC;
    device.writable = false;
    const source = new pps.PulseSource(device, "/dev/pps0", ["assert"]);
    device.pulse("assert", AT);
    expect(source.fetch()).toHaveLength(1);
    expect(device.flags).toEqual([O_RDONLY]);
  });

  it("that would have to be set by who may not is an error, and leaks nothing", () => {
    const device = new FakePps();
    device.writable = false;
    expect(() => new pps.PulseSource(device, "/dev/pps0", ["assert"])).toThrow("EPERM");
    expect(device.opened.size).toBe(0);
  });

  it("that cannot capture an edge says so", () => {
    const device = new FakePps();
    device.capabilities = pps.PPS_CAPTUREASSERT;
    expect(() => new pps.PulseSource(device, "/dev/pps0", ["clear"])).toThrow("choose the other edge");
    expect(device.opened.size).toBe(0);
  });

  it("tells nothing of a pulse from before it was opened", () => {
    const device = new FakePps();
    device.mode = pps.PPS_CAPTUREASSERT | pps.PPS_TSFMT_TSPEC;
    device.pulse("assert", AT - 86_400n * SECOND);
    expect(new pps.PulseSource(device, "/dev/pps0", ["assert"]).fetch()).toEqual([]);
  });

  it("gives both edges in the order in which they came", () => {
    const device = new FakePps();
    const source = new pps.PulseSource(device, "/dev/pps0", ["assert", "clear"]);
    device.pulse("clear", AT + SECOND / 5n);
    device.pulse("assert", AT);
    expect(source.fetch().map(({ edge }) => edge)).toEqual(["assert", "clear"]);
  });

  it("closes once", () => {
    const device = new FakePps();
    const source = new pps.PulseSource(device, "/dev/pps0", ["assert"]);
    source.close();
    source.close();
    expect([device.opened.size, source.fetch()]).toEqual([0, []]);
  });
});

describe("a clock of pulses", () => {
  /** A clock over a device, with time in hand; `run` collects its samples. */
  async function withClock(options: { edge?: "assert" | "clear"; both?: boolean }, act: (device: FakePps, clock: PpsClock, samples: RefClockSample[]) => Promise<void>): Promise<void> {
    vi.useFakeTimers();
    const device = new FakePps();
    const clock = new PpsClock({ openPps: async (how, onPulse, onEnd) => pps.openKernelPps(device, how, onPulse, onEnd) }, { path: "/dev/pps0", dispersion: 1e-6, ...options });
    const samples: RefClockSample[] = [];
    const reading = (async () => {
      for await (const sample of clock) samples.push(sample);
    })();
    try {
      await vi.advanceTimersByTimeAsync(10);
      await act(device, clock, samples);
    } finally {
      clock.close();
      await reading;
      vi.useRealTimers();
    }
    expect(device.opened.size).toBe(0);
  }

  it("tells the edge that marks the second", async () => {
    await withClock({ both: true }, async (device, clock, samples) => {
      for (let i = 0n; i < 5n; i++) {
        device.pulse("assert", AT + i * SECOND);
        await vi.advanceTimersByTimeAsync(200);
        device.pulse("clear", AT + i * SECOND + SECOND / 5n);
        await vi.advanceTimersByTimeAsync(800);
      }
      expect(samples.map(({ receivedNs, timeNs, pulse }) => [receivedNs, timeNs, pulse])).toEqual([0n, 1n, 2n, 3n, 4n].map((i) => [AT + i * SECOND, 0n, true]));
      expect(clock.width).toBeCloseTo(0.2);
      expect(clock.health.state).toBe("good");
    });
  });

  it("says when the pulses seem to be seen from their end", async () => {
    await withClock({ both: true, edge: "clear" }, async (device, clock) => {
      for (let i = 0n; i < 3n; i++) {
        device.pulse("clear", AT + i * SECOND + SECOND / 5n);
        await vi.advanceTimersByTimeAsync(800);
        device.pulse("assert", AT + (i + 1n) * SECOND);
        await vi.advanceTimersByTimeAsync(200);
      }
      expect(clock.health).toEqual({ state: "bad", message: expect.stringContaining("other edge") });
    });
  });

  it("counts missed pulses, also where the kernel's number wraps", async () => {
    await withClock({}, async (device, clock, samples) => {
      device.edges.assert.sequence = 0xfffffffe;
      device.pulse("assert", AT);
      await vi.advanceTimersByTimeAsync(100);
      for (let i = 1n; i <= 3n; i++) device.pulse("assert", AT + i * SECOND);
      await vi.advanceTimersByTimeAsync(100);
      expect(samples).toHaveLength(2);
      expect(clock.missed).toBe(2);
    });
  });

  it("without pulses says so, and opens a device anew that was unplugged", async () => {
    await withClock({}, async (device, clock, samples) => {
      device.pulse("assert", AT);
      await vi.advanceTimersByTimeAsync(3500);
      expect(clock.health.message).toContain("no pulse has come");
      device.gone = true;
      await vi.advanceTimersByTimeAsync(1000);
      expect(clock.health).toEqual({ state: "waiting", message: expect.stringContaining("ENODEV") });
      device.gone = false;
      await vi.advanceTimersByTimeAsync(10_000);
      device.pulse("assert", AT + 10n * SECOND);
      await vi.advanceTimersByTimeAsync(200);
      expect(samples).toHaveLength(2);
      expect(clock.health.state).toBe("good");
    });
  });
});
