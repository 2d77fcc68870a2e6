// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The lowest layer of the fake kernels: an Ffi whose functions see the caller's memory by address, as C does.
 *
 * @module
 */

import type { CFunction, Ffi, Signature } from "../../hosts/native/ffi.ts";

/** Libraries by name ("" is the process itself), and the functions in each. */
export type Libraries = Record<string, Record<string, CFunction>>;

/** Views that have been given an address, found again by it. An address in no view is a segmentation fault. */
export class FakeMemory {
  readonly #views: { address: number; view: Uint8Array }[] = [];
  #next = 0x7f00_0000_1000;

  address(view: Uint8Array): number {
    const address = this.#next;
    this.#views.push({ address, view });
    // A gap of a page behind each, so that an overrun hits nothing.
    this.#next += Math.ceil(view.length / 4096) * 4096 + 4096;
    return address;
  }

  /** `size` octets at `address`. */
  at(address: number | bigint | undefined, size: number): DataView {
    const wanted = Number(address);
    for (const { address: base, view } of this.#views) {
      const start = wanted - base;
      if (start >= 0 && start + size <= view.length) return new DataView(view.buffer, view.byteOffset + start, size);
    }
    throw new Error(`segmentation fault: ${size} octets at ${wanted}`);
  }
}

/** An Ffi over `libraries`, which throws for what they lack and checks the number and kind of arguments. */
export function fakeFfi(memory: FakeMemory, libraries: Libraries): Ffi {
  return {
    name: "koffi",
    address: (view) => memory.address(view),
    open<K extends string>(library: string | null, symbols: Record<K, Signature>) {
      const functions = libraries[library ?? ""];
      if (functions === undefined) throw new Error(`cannot open ${library}`);
      const bound = {} as Record<K, CFunction>;
      for (const [name, [, ...parameters]] of Object.entries<Signature>(symbols)) {
        const call = functions[name];
        if (call === undefined) throw new Error(`undefined symbol: ${name}`);
        bound[name as K] = (...args) => {
          if (args.length !== parameters.length) throw new Error(`${name}: ${args.length} arguments`);
          for (const arg of args) BigInt(arg); // throws for what is no whole number
          return call(...args);
        };
      }
      return bound;
    },
  };
}

/** A C library's errno: its place, and memcpy to read it with. */
export function fakeErrno(
  memory: FakeMemory,
  locate: string,
): { functions: Record<string, CFunction>; fail(errno: number): -1 } {
  const place = new Uint8Array(4);
  const address = memory.address(place);
  return {
    functions: {
      [locate]: () => address,
      memcpy(to, from, size) {
        const source = memory.at(from, Number(size));
        const target = memory.at(to, Number(size));
        for (let i = 0; i < Number(size); i++) target.setUint8(i, source.getUint8(i));
        return Number(to);
      },
    },
    fail(errno) {
      new DataView(place.buffer).setInt32(0, errno, true);
      return -1;
    },
  };
}
