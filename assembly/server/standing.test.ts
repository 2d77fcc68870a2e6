// SPDX-License-Identifier: MIT OR Apache-2.0
/** How good the server says it is: dispersion that grows while nobody corrects the clock, and an honest end of it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyI64, anyU64, seconds } from "../../tests/support/core.ts";
import { START, TestServer } from "../../tests/support/server.ts";

function standing(rootDispersion: number, growth: number, maximumDistance = 0, rootDelay = 0): TestServer {
  const server = new TestServer();
  const { core, fields } = server;
  core.setI64(fields.ROOT_DELAY, seconds(rootDelay));
  core.setI64(fields.ROOT_DISPERSION, seconds(rootDispersion));
  core.setU64(fields.UPDATED, START);
  core.view.setFloat64(fields.GROWTH, growth, true);
  core.setI64(fields.MAXIMUM_DISTANCE, seconds(maximumDistance));
  return server;
}

const dispersion = (server: TestServer) => server.ask(undefined).view.getUint32(8) / 65536;

describe("root dispersion", () => {
  it("grows by 15 µs a second from the update on", () => {
    const server = standing(0.01, 15e-6);
    expect(dispersion(server)).toBeCloseTo(0.01, 4);
    server.wait(1000);
    expect(dispersion(server)).toBeCloseTo(0.025, 4);
    server.wait(85_400);
    expect(dispersion(server)).toBeCloseTo(0.01 + 1.296, 3);
  });

  it("is as told before the update, without a rate, and with one that is none", () => {
    for (const growth of [0, -1, NaN, Infinity, 1.1]) {
      const server = standing(0.25, growth);
      server.wait(1000);
      expect(dispersion(server)).toBe(0.25);
    }
    const server = standing(0.25, 15e-6);
    server.wait(-1000);
    expect(dispersion(server)).toBe(0.25);
  });

  it("never wraps and never traps, whatever stands there", () => {
    fc.assert(fc.property(anyI64, anyU64, fc.double(), anyI64, (told, updated, growth, limit) => {
      const server = standing(0, growth);
      server.core.setI64(server.fields.ROOT_DISPERSION, told);
      server.core.setU64(server.fields.UPDATED, updated);
      server.core.setI64(server.fields.MAXIMUM_DISTANCE, limit);
      expect(dispersion(server)).toBeGreaterThanOrEqual(Math.min(65535, Math.max(0, Number(told) / 2 ** 32 - 0.001)));
    }), { numRuns: 300 });
  });
});

describe("past the limit of root distance", () => {
  it("the server is no longer synchronised: leap 3, stratum 0, INIT; half the delay counts", () => {
    const server = standing(0.5, 15e-6, 1, 0.8);
    const told = () => {
      const { view } = server.ask(undefined);
      return [view.getUint8(0) >> 6, view.getUint8(1), view.getUint32(12)];
    };
    server.wait(6000);
    expect(told()).toEqual([0, 2, 0xc0000201]);
    server.wait(1000);
    expect(told()).toEqual([3, 0, 0x494e4954]);
  });

  it("without one it stays", () => {
    const server = standing(15, 15e-6);
    server.wait(1e6);
    expect(server.ask(undefined).view.getUint8(1)).toBe(2);
  });
});
