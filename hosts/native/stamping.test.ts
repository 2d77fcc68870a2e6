// SPDX-License-Identifier: MIT OR Apache-2.0
/** Stamps that are slow to come, on a machine so busy that the time for them is over at once. Else: tests/contract. @module */

import { afterEach, describe, expect, it, vi } from "vitest";
import type { CFunction, Ffi, Signature } from "./ffi.ts";
import { load } from "./ffi-koffi.ts";
import { bindLibc } from "./libc.ts";
import { MSG_ERRQUEUE } from "./linux.ts";
import { startStamping } from "./stamping.ts";

const real = await load();
const usable = real !== undefined && bindLibc(real) !== undefined;
if (!usable) console.warn("SKIPPED: kernel time stamps need koffi and 64-bit Linux");

/** Where a struct msghdr has the length of its control messages, and that length's size. */
const [CONTROL_LENGTH, OCTETS] = [40, 8];

/** The real FFI, but the first `count` datagrams come without a stamp; how many came is told. */
function stripping(count: number): { ffi: Ffi; came: () => number } {
  const ffi = real as Ffi;
  const { memset } = ffi.open(null, { memset: ["pointer", "pointer", "i32", "usize"] });
  let came = 0;
  const open = <K extends string>(library: string | null, symbols: Record<K, Signature>): Record<K, CFunction> => {
    const bound: Record<string, CFunction> = ffi.open(library, symbols);
    const { recvmsg } = bound;
    if (!recvmsg) return bound as Record<K, CFunction>;
    const replaced: CFunction = (fd, header, flags) => {
      const length = recvmsg(fd as number, header as number, flags as number);
      if (!(Number(flags) & MSG_ERRQUEUE) && length > 0 && ++came <= count) memset(Number(header) + CONTROL_LENGTH, 0, OCTETS);
      return length;
    };
    return { ...bound, recvmsg: replaced } as Record<K, CFunction>;
  };
  return { ffi: { name: ffi.name, address: (view) => ffi.address(view), open }, came: () => came };
}

describe.skipIf(!usable)("the wait for stamps", () => {
  afterEach(() => void vi.restoreAllMocks());

  /** Each reading of the timer is a second after the one before. */
  const stalled = () => {
    let seconds = 0;
    vi.spyOn(performance, "now").mockImplementation(() => 1000 * seconds++);
  };

  it("goes on past its time until a few datagrams have been round", async () => {
    const { ffi, came } = stripping(5);
    stalled();
    await startStamping(ffi);
    expect(came()).toBeGreaterThanOrEqual(6);
  });

  it("ends where stamps never come, and is begun once", async () => {
    const { ffi, came } = stripping(Infinity);
    stalled();
    await Promise.all([startStamping(ffi), startStamping(ffi)]);
    expect(came()).toBeGreaterThan(0);
    expect(came()).toBeLessThanOrEqual(16);
  });
});
