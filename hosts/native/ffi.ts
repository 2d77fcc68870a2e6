// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The one face of every FFI library: open a shared library, call C functions with numbers, find an address.
 *
 * One small file per backend implements it: ffi-koffi.ts (Node), ffi-node.ts (`node:ffi`), ffi-deno.ts (`Deno.dlopen`),
 * ffi-bun.ts (`bun:ffi`). Everything above it (libc.ts, clock.ts, udp.ts) is written once. An FFI that is missing or
 * forbidden is not an error: `load()` answers `undefined` and the host goes on with the runtime's own means.
 *
 * @module
 */

/** C types that cross. `pointer` is a native address as a Number (user space addresses fit in 2^53). */
export type CType = "void" | "i32" | "u32" | "i64" | "u64" | "usize" | "pointer" | "f64";

/** `[result, ...parameters]`. */
export type Signature = readonly [CType, ...CType[]];

/** A C function: 64-bit results come back as Number where they are known to be small (`usize`, `pointer`). */
export type CFunction = (...args: (number | bigint)[]) => number;

export interface Ffi {
  readonly name: "koffi" | "node:ffi" | "Deno.dlopen" | "bun:ffi";
  /** Bind functions of a library; `null` is the process itself (libc). Throws when a symbol is missing. */
  open<K extends string>(library: string | null, symbols: Record<K, Signature>): Record<K, CFunction>;
  /** The native address of a view's first octet. The caller keeps the view alive. */
  address(view: Uint8Array): number;
}

/** `bind`, once for each FFI: to bind a symbol again would cost time and memory for the same function. */
export function oncePerFfi<T>(bind: (ffi: Ffi) => T): (ffi: Ffi) => T {
  const bound = new WeakMap<Ffi, { readonly result: T }>();
  return (ffi) => {
    const known = bound.get(ffi) ?? { result: bind(ffi) };
    bound.set(ffi, known);
    return known.result;
  };
}
