// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A disciplined virtual clock that follows a real chronyd on this machine: chronyd serves the system clock, so the virtual
 * clock, which starts elsewhere and runs at another rate, has to arrive at the system clock and to stay there.
 */

import { expect, test } from "vitest";
import { Engine } from "../../hosts/common/client/engine.ts";
import { steeredVirtual } from "../../hosts/common/clock/steered.ts";
import type { HostClock } from "../../hosts/common/host.ts";
import { lendHost, startClock } from "../../hosts/node/index.ts";
import { eventually, titled, whySkipped } from "../support/peers.ts";
import { chronyServer } from "./chrony.ts";

const reason = whySkipped(["chronyd", "chronyc"]);
/** What a settled clock may be off on loopback with kernel stamps, s (rms). */
const SETTLED = 20e-6;
const READINGS = 200;
const PATIENCE_MS = 120_000;

/** How far `read` is ahead of the system clock, s; of three tries the one that was interrupted least. */
function error(read: () => bigint, system: HostClock): number {
  const tries = Array.from({ length: 3 }, () => {
    const before = system.now();
    const value = read();
    const after = system.now();
    return { took: after - before, error: Number(value - (before + after) / 2n) / 1e9 };
  });
  return tries.reduce((best, one) => (one.took < best.took ? one : best)).error;
}

function rms(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/** Readings spread over some polls. */
async function observe(read: () => bigint, system: HostClock): Promise<number[]> {
  const errors: number[] = [];
  for (let i = 0; i < READINGS; i++) {
    errors.push(error(read, system));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return errors;
}

/** Until a row of readings is as good as a settled clock's: samples that waited for a processor show for a while. */
async function settled(read: () => bigint, system: HostClock): Promise<void> {
  const found: number[] = [];
  await eventually(`an rms below ${SETTLED} s`, async () => {
    found.push(rms(await observe(read, system)));
    return found.at(-1)! < SETTLED || undefined;
  }, undefined, PATIENCE_MS).catch((error: Error) => {
    throw new Error(`${error.message}found ${found.join(", ")}`);
  });
}

test.skipIf(reason)(titled("a clock of our own stays within 20 µs rms of the system clock that chronyd serves", reason), async () => {
  await using chronyd = await chronyServer();
  const host = await lendHost();
  await using clock = await startClock({ sources: [`${chronyd.address}:${chronyd.port}`], minPoll: 0, maxPoll: 1 });
  await eventually("ten samples", () => (clock.state.sources[0]!.used >= 10 ? true : undefined));
  await settled(() => clock.nowNs(), host.clock);
  expect(clock.state.stratum).toBe(4);
  expect(clock.state.sources[0]!.selection).toBe("survivor");
});

test.skipIf(reason)(titled("a clock 80 ms off whose timer runs 50 ppm fast is brought in and its frequency found", reason), async () => {
  await using chronyd = await chronyServer();
  const host = await lendHost();
  // A host whose timer and clock are wrong together, as a bad oscillator's are.
  const [start, startNs] = [host.clock.monotonic(), host.clock.now()];
  const fast = (span: bigint) => span + (span * 50n) / 1_000_000n;
  const skewed: HostClock = {
    ...host.clock,
    monotonic: () => start + fast(host.clock.monotonic() - start),
    now: () => startNs + fast(host.clock.monotonic() - start) + 80_000_000n,
  };
  const carryStamp = (wallNs: bigint) => startNs + fast(wallNs - startNs) + 80_000_000n;
  const bad = {
    ...host,
    clock: skewed,
    openUdp: async (...[options, handlers, stamps]: Parameters<NonNullable<typeof host.openUdp>>) => {
      const socket = await host.openUdp!(options, { ...handlers, onDatagram: (datagram) => handlers.onDatagram({ ...datagram, receivedNs: carryStamp(datagram.receivedNs) }) }, stamps);
      return { ...socket, local: socket.local, stamps: socket.stamps, close: () => socket.close(), send: async (...args: Parameters<typeof socket.send>) => {
        const sent = await socket.send(...args);
        return { ...sent, sentNs: carryStamp(sent.sentNs) };
      } };
    },
  };
  const steered = steeredVirtual(skewed);
  const engine = new Engine(bad, steered, { sources: [{ source: `${chronyd.address}:${chronyd.port}` }], minPoll: 0, maxPoll: 1 });
  try {
    await engine.start();
    await eventually("twelve samples", () => (engine.sources()[0]!.used >= 12 ? true : undefined));
    // The rate that undoes 50 ppm is -50 ppm, but for what a dozen samples leave unknown, and more where they were disturbed.
    await eventually("the frequency", () => (Math.abs(engine.tracking().frequencyPpm + 50) < 2 ? true : undefined));
    await settled(() => steered.now(), host.clock);
    expect(Math.abs(engine.tracking().frequencyPpm + 50)).toBeLessThan(5);
  } finally {
    engine.close();
  }
});
