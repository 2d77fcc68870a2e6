// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * FFI by `node:ffi`: Node 26.1 and later, experimental there. The second choice on Node, after koffi.
 *
 * Merely loading the module prints an ExperimentalWarning, and a library MUST NOT make its user's program print one
 * unasked. So it is used only where the process was started for it (`--experimental-ffi`, `--allow-ffi`) or where the
 * warning is silenced anyway; {@link wanted} has the list.
 *
 * Tested by ffi.test.ts and tests/native.
 *
 * @module
 */

import type { CFunction, CType, Ffi, Signature } from "./ffi.ts";

/** The part of `node:ffi` in use. 64-bit values cross as BigInt in both directions, addresses included. */
interface NodeFfi {
  dlopen(
    path: string | null,
    definitions: Record<string, { arguments: string[]; return: string }>,
  ): { functions: Record<string, (...args: (number | bigint)[]) => unknown> };
  getRawPointer(view: Uint8Array): bigint;
}

const TYPES: Record<CType, string> = {
  void: "void",
  i32: "int32",
  u32: "uint32",
  i64: "int64",
  u64: "uint64",
  usize: "uint64",
  pointer: "uint64",
  f64: "float64",
};

const WIDE: ReadonlySet<CType> = new Set<CType>(["i64", "u64", "usize", "pointer"]);

/** `node:ffi` as an {@link Ffi}, or `undefined` where it is missing, forbidden or not asked for. Never throws. */
export async function load(): Promise<Ffi | undefined> {
  try {
    if (!permitted() || !wanted(process.execArgv, process.env)) return undefined;
    // Not an import: getBuiltinModule (Node 22.3) answers undefined where the module does not exist.
    const module = process.getBuiltinModule?.("node:ffi") as unknown as NodeFfi | undefined;
    return module === undefined ? undefined : adapt(module);
  } catch {
    return undefined;
  }
}

/** Whether the way this process was started asks for `node:ffi`, or keeps its warning from being seen. */
export function wanted(flags: readonly string[], environment: Record<string, string | undefined>): boolean {
  if (environment["NODE_NO_WARNINGS"] === "1") return true;
  const all = [...flags, ...(environment["NODE_OPTIONS"] ?? "").split(/\s+/)];
  if (all.includes("--no-experimental-ffi")) return false;
  const asking = ["--experimental-ffi", "--allow-ffi", "--no-warnings", "--disable-warning=ExperimentalWarning"];
  return asking.some((flag) => all.includes(flag));
}

/** Under the permission model a call without `--allow-ffi` throws: ask before the module (and its warning) loads. */
function permitted(): boolean {
  const { permission } = process as { permission?: { has(scope: string): boolean } };
  return permission === undefined || permission.has("ffi");
}

function adapt(ffi: NodeFfi): Ffi {
  return {
    name: "node:ffi",
    open<K extends string>(library: string | null, symbols: Record<K, Signature>) {
      const definitions: Record<string, { arguments: string[]; return: string }> = {};
      for (const [name, [result, ...parameters]] of Object.entries<Signature>(symbols)) {
        definitions[name] = { arguments: parameters.map((type) => TYPES[type]), return: TYPES[result] };
      }
      const { functions } = ffi.dlopen(library, definitions);
      const bound = {} as Record<K, CFunction>;
      for (const [name, signature] of Object.entries<Signature>(symbols)) {
        bound[name as K] = widen(functions[name] as (...args: (number | bigint)[]) => unknown, signature);
      }
      return bound;
    },
    address: (view) => Number(ffi.getRawPointer(view)),
  };
}

/** Numbers outside, BigInts inside, for the 64-bit positions of a signature. */
function widen(call: (...args: (number | bigint)[]) => unknown, [result, ...parameters]: Signature): CFunction {
  const wide = parameters.flatMap((type, index) => (WIDE.has(type) ? [index] : []));
  const narrow = (value: unknown): number => (WIDE.has(result) ? Number(value) : (value as number));
  return (...args) => {
    for (const index of wide) args[index] = BigInt(args[index] as number | bigint);
    return narrow(call(...args));
  };
}
