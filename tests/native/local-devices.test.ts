// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Unix datagram sockets and NTP's shared memory on this kernel: who may use them, what is left behind, and what others put in.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { ForeignSample } from "../../hosts/common/refclock/devices.ts";
import { SockClock, SockFeed } from "../../hosts/common/refclock/foreign-clocks.ts";
import { SHARED_MEMORY_OCTETS, writeSharedMemory } from "../../hosts/common/refclock/foreign.ts";
import type { RefClockSample } from "../../hosts/common/refclock/refclock.ts";
import { bindDevices } from "../../hosts/native/device.ts";
import { devicesOf } from "../../hosts/native/devices.ts";
import { load } from "../../hosts/native/ffi-koffi.ts";
import { bindLocalSocket } from "../../hosts/native/local-socket.ts";
import { NTP_KEY, Segment, attachSharedMemory } from "../../hosts/native/shm.ts";
import { eventually } from "../support/peers.ts";

const ffi = process.platform === "linux" ? await load() : undefined;
const libc = ffi && bindDevices(ffi);
const directory = mkdtempSync(join(tmpdir(), "local-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const now = () => BigInt(Date.now()) * 1_000_000n;
const sample = (change: Partial<ForeignSample> = {}): ForeignSample => ({ timeNs: now() + 5_000_000n, receivedNs: now(), leap: 0, precision: -20, pulse: false, ...change });

describe.skipIf(!libc)("a Unix datagram socket", () => {
  it("takes samples, is its owner's and group's, and is gone afterwards", async () => {
    const path = join(directory, "a.sock");
    const devices = devicesOf(ffi);
    const clock = new SockClock({ devices, now }, { path, dispersion: 1e-6 });
    const samples: RefClockSample[] = [];
    const reading = (async () => {
      for await (const one of clock) samples.push(one);
    })();
    await eventually("the socket", () => (existsSync(path) ? true : undefined));
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const feed = new SockFeed(devices, path);
    expect(await feed.send(sample())).toBe(true);
    expect(await feed.send(sample({ pulse: true, leap: 1 }))).toBe(true);
    await eventually("two samples", () => (samples.length === 2 ? true : undefined));
    expect(Number(samples[0]!.timeNs - samples[0]!.receivedNs)).toBeCloseTo(5e6, -6);
    expect(samples[1]).toMatchObject({ pulse: true, leap: 1, health: "good" });
    // Old ones, ones from the future, and what is none.
    await feed.send(sample({ receivedNs: now() - 60_000_000_000n }));
    await feed.send(sample({ receivedNs: now() + 60_000_000_000n }));
    await eventually("a complaint", () => (clock.health.state === "bad" ? true : undefined));
    const sender = await devices.connectLocalSocket!(path);
    for (const length of [0, 1, 39, 41, 400]) sender.send(new Uint8Array(length));
    sender.send(new Uint8Array(40));
    await eventually("all of them", () => (clock.malformed === 6 ? true : undefined));
    expect(samples).toHaveLength(2);
    sender.close();
    feed.close();
    clock.close();
    await reading;
    expect(existsSync(path)).toBe(false);
  });

  it("takes the place of one that was left behind, and of nothing else", () => {
    const path = join(directory, "left.sock");
    bindLocalSocket(libc!, path, () => {});
    const again = bindLocalSocket(libc!, path, () => {});
    again.close();
    const file = join(directory, "file");
    writeFileSync(file, "precious");
    expect(() => bindLocalSocket(libc!, file, () => {})).toThrow(/EADDRINUSE/);
    expect(statSync(file).size).toBe(8);
  });

  it("has a path that fits", () => {
    expect(() => bindLocalSocket(libc!, `/${"x".repeat(107)}`, () => {})).toThrow(/1 to 107 octets/);
    expect(() => bindLocalSocket(libc!, "/nonexistent/a.sock", () => {})).toThrow(/ENOENT/);
  });

  it("that its reader closed refuses samples, until another one is there", async () => {
    const path = join(directory, "again.sock");
    const feed = new SockFeed(devicesOf(ffi), path);
    expect(await feed.send(sample())).toBe(false);
    const first = bindLocalSocket(libc!, path, () => {});
    expect(await feed.send(sample())).toBe(true);
    first.close();
    expect(await feed.send(sample())).toBe(false);
    const got: Uint8Array[] = [];
    const second = bindLocalSocket(libc!, path, (data) => got.push(data));
    expect(await feed.send(sample())).toBe(true);
    await eventually("the sample", () => (got.length === 1 ? true : undefined));
    second.close();
    feed.close();
  });
});

describe.skipIf(!libc)("NTP's shared memory", () => {
  /** Far from what real feeders use. */
  const UNIT = 97;
  const remove = (unit: number) => execFileSync("ipcrm", ["-M", `0x${(NTP_KEY + unit).toString(16)}`]);
  const octets = (change: Partial<ForeignSample> = {}) => {
    const view = new DataView(new ArrayBuffer(SHARED_MEMORY_OCTETS));
    writeSharedMemory(view, sample(change));
    return view;
  };
  const at = { mode: 0, count: 4, valid: 48 };

  it("gives each sample once, and tells its writer so", () => {
    const writer = new Segment(libc!, UNIT);
    try {
      const memory = attachSharedMemory(libc!, { unit: UNIT });
      expect(memory.take()).toBeUndefined();
      const view = octets({ receivedNs: 1_900_000_000_123_456_789n, timeNs: 1_900_000_000_000_000_000n });
      writer.write(view);
      expect(memory.take()).toEqual({ timeNs: 1_900_000_000_000_000_000n, receivedNs: 1_900_000_000_123_456_789n, leap: 0, precision: -20, pulse: false });
      expect(writer.read().getInt32(at.valid, true)).toBe(0);
      expect(memory.take()).toBeUndefined();
      // A writer that never looks writes the same again.
      writer.write(view);
      expect(memory.take()).toBeUndefined();
      memory.close();
    } finally {
      writer.close();
      remove(UNIT);
    }
  });

  it("is read in mode 0, too, and not at all in one that is none", () => {
    const writer = new Segment(libc!, UNIT);
    try {
      const memory = attachSharedMemory(libc!, { unit: UNIT });
      const view = octets();
      view.setInt32(at.mode, 0, true);
      writer.write(view);
      expect(memory.take()).toBeDefined();
      const other = octets({ receivedNs: now() + 1n });
      other.setInt32(at.mode, 2, true);
      writer.write(other);
      expect(memory.take()).toBeUndefined();
      memory.close();
    } finally {
      writer.close();
      remove(UNIT);
    }
  });

  it("is thrown away where it changes while it is read", () => {
    const writer = new Segment(libc!, UNIT);
    try {
      writer.write(octets());
      let reads = 0;
      const torn = new Proxy(libc!, {
        get(target, name, receiver) {
          if (name !== "memcpy") return Reflect.get(target, name, receiver) as unknown;
          return (to: number, from: number, length: number) => {
            // Between the two readings the writer writes.
            if (length === SHARED_MEMORY_OCTETS && ++reads === 2) writer.put(at.count, 99);
            return target.memcpy(to, from, length);
          };
        },
      });
      const memory = attachSharedMemory(torn, { unit: UNIT });
      expect(memory.take()).toBeUndefined();
      expect(reads).toBe(2);
      expect(memory.take()).toBeDefined();
      memory.close();
    } finally {
      writer.close();
      remove(UNIT);
    }
  });

  it.each([[98, "666"], [1, "600"]])("of unit %i is made with mode %s", (unit, mode) => {
    const there = execFileSync("ipcs", ["-m"], { encoding: "utf8" });
    const line = (text: string) => text.split("\n").find((entry) => entry.startsWith(`0x${(NTP_KEY + unit).toString(16)} `));
    const before = line(there);
    if (before === undefined && unit < 2 && process.getuid?.() !== 0) return;
    const segment = new Segment(libc!, unit);
    expect(line(execFileSync("ipcs", ["-m"], { encoding: "utf8" }))?.split(/\s+/)[3]).toBe(mode);
    segment.close();
    if (before === undefined) remove(unit);
  });

  it("has units of 0 to 255", () => {
    for (const unit of [-1, 256, 1.5, NaN]) expect(() => new Segment(libc!, unit)).toThrow(/0 to 255/);
  });
});
