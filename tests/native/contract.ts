// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What every FFI backend must do, checked by running the native clock and the native sockets on it.
 *
 * Runtime-neutral: run.ts runs it on Node (koffi, node:ffi), Deno and Bun, contract.test.ts under vitest. Nothing here
 * waits for luck: whatever is awaited has an event, and a deadline that only a failure reaches.
 *
 * @module
 */

import { nativeClock } from "../../hosts/native/clock.ts";
import type { Ffi } from "../../hosts/native/ffi.ts";
import { bindLibc } from "../../hosts/native/libc.ts";
import { Block } from "../../hosts/native/memory.ts";
import { addressChecks, errorChecks, lifetimeChecks } from "./contract-errors.ts";
import { cardChecks } from "./contract-cards.ts";
import { exchangeChecks } from "./contract-exchange.ts";
import { check, expect, within } from "./harness.ts";
import type { Result } from "./harness.ts";

/** Run the contract. Never throws: a check that throws is a check that failed. */
export async function nativeContract(ffi: Ffi): Promise<Result[]> {
  return [
    ...(await memoryChecks(ffi)),
    ...(await clockChecks(ffi)),
    ...(await exchangeChecks(ffi)),
    ...(await errorChecks(ffi)),
    ...(await addressChecks(ffi)),
    ...(await lifetimeChecks(ffi)),
    ...(await cardChecks(ffi)),
  ];
}

function memoryChecks(ffi: Ffi): Promise<Result[]> {
  const libc = () => expect(bindLibc(ffi), "libc binds on this platform");
  return check([
    ["errno is this thread's, after every failed call", () => {
      const c = libc();
      for (let i = 0; i < 10_000; i++) {
        expect(c.close(-1) === -1, "close(-1) fails");
        const errno = c.errno();
        expect(errno === 9, `EBADF, not ${errno}, at call ${i}`);
      }
    }],
    ["C sees a block where its address says, while garbage comes and goes", () => {
      const c = libc();
      const blocks = Array.from({ length: 100 }, () => new Block(ffi, 16));
      for (let round = 0; round < 100; round++) {
        const garbage = Array.from({ length: 1000 }, () => new Uint8Array(1000));
        blocks.forEach((block, i) => block.view.setUint32(0, i * 1000 + round + garbage.length));
        for (const [i, block] of blocks.entries()) {
          c.memcpy(block.address + 8, block.address, 4);
          expect(block.view.getUint32(8) === i * 1000 + round + 1000, `block ${i} in round ${round}`);
        }
      }
    }],
    ["a view that begins inside its buffer has its own address", () => {
      const buffer = new ArrayBuffer(64);
      const offset = ffi.address(new Uint8Array(buffer, 24)) - ffi.address(new Uint8Array(buffer));
      expect(offset === 24, `24 octets behind the buffer, not ${offset}`);
    }],
    ["interfaces have numbers and names", () => {
      const c = libc();
      const index = c.interfaceIndex("lo");
      expect(index > 0, "lo exists");
      expect(c.interfaceName(index) === "lo", `interface ${index} is lo`);
      expect(c.interfaceIndex("no-such-if0") === 0, "an unknown name gives 0");
      expect(c.interfaceIndex("much-longer-than-an-interface-name") === 0, "an overlong name gives 0");
      expect(c.interfaceName(2_000_000_000) === "2000000000", "an unknown index is shown as a number");
    }],
  ]);
}

function clockChecks(ffi: Ffi): Promise<Result[]> {
  const clock = () => expect(nativeClock(ffi), "there is a clock");
  return check([
    ["the clock agrees with Date.now", () => {
      const before = Date.now();
      const now = Number(clock().now() / 1000n) / 1000;
      const after = Date.now() + 1; // Date.now is cut to milliseconds
      expect(now >= before - 5 && now <= after + 5, `${now} between ${before} and ${after}, give or take 5 ms`);
      return `${(now - before).toFixed(3)} ms after Date.now`;
    }],
    ["the monotonic clock never goes back", () => {
      const { monotonic } = clock();
      let last = monotonic();
      for (let i = 0; i < 100_000; i++) {
        const next = monotonic();
        expect(next >= last, `${next} is not before ${last}`);
        last = next;
      }
    }],
    ["readings within a second's change are continuous", () => {
      // The second is cached inside the reader; cross a boundary and compare with the other clock.
      const { now, monotonic } = clock();
      const start = now();
      const difference = now() - monotonic();
      for (let reading = start; reading / 1_000_000_000n === start / 1_000_000_000n; ) reading = now();
      const drift = Number(now() - monotonic() - difference) / 1e6;
      expect(within(drift, -20, 20), `wall minus monotonic moved by ${drift} ms over the boundary`);
    }],
    ["the precision is plausible", () => {
      const { precision, description } = clock();
      expect(within(precision, 1e-9, 1e-4), `${precision} s is between 1 ns and 100 µs`);
      return `${(precision * 1e9).toFixed(0)} ns, ${description}`;
    }],
  ]);
}
