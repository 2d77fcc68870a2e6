// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * FFI by `bun:ffi`. Measured 25-29 ns for clock_gettime on x64.
 *
 * Tested in tests/native/contract.test.ts.
 *
 * @module
 */

import type { CFunction, CType, Ffi, Signature } from "./ffi.ts";
import { openFirst } from "./libc-names.ts";

/** The part of `bun:ffi` in use. */
interface BunFfi {
  dlopen(
    path: string,
    symbols: Record<string, { args: string[]; returns: string }>,
  ): { symbols: Record<string, (...args: (number | bigint)[]) => unknown> };
  ptr(view: Uint8Array): number;
}

/** The `_fast` types come back as Number as long as the value is a safe integer; the plain ones always as BigInt. */
const TYPES: Record<CType, string> = {
  void: "void",
  i32: "i32",
  u32: "u32",
  i64: "i64_fast",
  u64: "u64_fast",
  usize: "u64_fast",
  // Bun's "ptr" turns a null result into null; an address as a number is a u64.
  pointer: "u64_fast",
  f64: "f64",
};

/** `bun:ffi` as an {@link Ffi}, or `undefined` outside Bun. Never throws. */
export async function load(): Promise<Ffi | undefined> {
  try {
    // `as string` keeps TypeScript from looking for the module; bundlers see a literal and leave it external.
    return adapt((await import("bun:ffi" as string)) as BunFfi);
  } catch {
    return undefined;
  }
}

function adapt(bun: BunFfi): Ffi {
  return {
    name: "bun:ffi",
    open<K extends string>(library: string | null, symbols: Record<K, Signature>) {
      const definitions: Record<string, { args: string[]; returns: string }> = {};
      for (const [name, [result, ...parameters]] of Object.entries<Signature>(symbols)) {
        definitions[name] = { args: parameters.map((type) => TYPES[type]), returns: TYPES[result] };
      }
      return openFirst(library, (path) => bun.dlopen(path, definitions).symbols) as Record<K, CFunction>;
    },
    address: (view) => bun.ptr(view),
  };
}
