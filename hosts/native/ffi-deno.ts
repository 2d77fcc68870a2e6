// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * FFI by `Deno.dlopen`, where `--allow-ffi` was already granted.
 *
 * The permission is queried, never requested: a library for telling the time MUST NOT make a prompt appear.
 * Measured about 90 ns for clock_gettime on x64 with Numbers for addresses (25 ns with BigInts, which would leave
 * garbage).
 *
 * Tested in tests/native/contract.test.ts.
 *
 * @module
 */

import type { CFunction, CType, Ffi, Signature } from "./ffi.ts";
import { openFirst } from "./libc-names.ts";

/** The part of Deno's API in use. */
interface DenoFfi {
  readonly permissions: { querySync(descriptor: { name: "ffi" }): { readonly state: string } };
  readonly UnsafePointer: { of(view: Uint8Array): object | null; value(pointer: object | null): number | bigint };
  dlopen(
    path: string,
    symbols: Record<string, { parameters: string[]; result: string }>,
  ): { symbols: Record<string, (...args: (number | bigint)[]) => unknown> };
}

const TYPES: Record<CType, string> = {
  void: "void",
  i32: "i32",
  u32: "u32",
  i64: "i64",
  u64: "u64",
  usize: "usize",
  // Deno's "pointer" wants an object made by UnsafePointer.create; an address as a number is a usize.
  pointer: "usize",
  f64: "f64",
};

/** These results come back as BigInt. */
const WIDE: ReadonlySet<CType> = new Set<CType>(["i64", "u64", "usize", "pointer"]);

/** `Deno.dlopen` as an {@link Ffi}, or `undefined` where it is missing or not permitted. Never throws or prompts. */
export function load(): Ffi | undefined {
  try {
    const { Deno: deno } = globalThis as { Deno?: DenoFfi };
    if (deno?.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
    return adapt(deno);
  } catch {
    return undefined;
  }
}

function adapt(deno: DenoFfi): Ffi {
  return {
    name: "Deno.dlopen",
    open<K extends string>(library: string | null, symbols: Record<K, Signature>) {
      const definitions: Record<string, { parameters: string[]; result: string }> = {};
      for (const [name, [result, ...parameters]] of Object.entries<Signature>(symbols)) {
        definitions[name] = { parameters: parameters.map((type) => TYPES[type]), result: TYPES[result] };
      }
      const opened = openFirst(library, (path) => deno.dlopen(path, definitions).symbols);
      const bound = {} as Record<K, CFunction>;
      for (const [name, [result]] of Object.entries<Signature>(symbols)) {
        const call = opened[name] as CFunction;
        bound[name as K] = WIDE.has(result) ? (...args) => Number(call(...args)) : call;
      }
      return bound;
    },
    address: (view) => Number(deno.UnsafePointer.value(deno.UnsafePointer.of(view))),
  };
}
