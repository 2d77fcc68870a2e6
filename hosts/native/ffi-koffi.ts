// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * FFI by koffi: Node 20 and later, prebuilt for every platform, an optional dependency.
 *
 * Absent (not installed), refused (`--permission` without `--allow-addons`) or broken (no binary for this platform)
 * are all the same answer: `undefined`. Addresses are declared `uintptr_t` and passed as Numbers, because koffi's own
 * pointer types allocate an object per call. Measured 37-42 ns for clock_gettime on x64.
 *
 * Tested by ffi.test.ts and tests/native.
 *
 * @module
 */

import type { CFunction, CType, Ffi, Signature } from "./ffi.ts";

type Koffi = (typeof import("koffi"))["default"];

const TYPES: Record<CType, string> = {
  void: "void",
  i32: "int32_t",
  u32: "uint32_t",
  i64: "int64_t",
  u64: "uint64_t",
  usize: "uintptr_t",
  pointer: "uintptr_t",
  f64: "double",
};

/** koffi as an {@link Ffi}, or `undefined` where it is missing or forbidden. Never throws. */
export async function load(): Promise<Ffi | undefined> {
  try {
    return adapt((await import("koffi")).default);
  } catch {
    return undefined;
  }
}

function adapt(koffi: Koffi): Ffi {
  return {
    name: "koffi",
    open<K extends string>(library: string | null, symbols: Record<K, Signature>) {
      const handle = koffi.load(library);
      const bound = {} as Record<K, CFunction>;
      for (const [name, [result, ...parameters]] of Object.entries<Signature>(symbols)) {
        const types = parameters.map((type) => TYPES[type]);
        bound[name as K] = handle.func(name, TYPES[result], types) as CFunction;
      }
      return bound;
    },
    address: (view) => Number(koffi.address(view)),
  };
}
