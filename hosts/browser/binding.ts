// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Strings and arrays across the border of the core, for pages: what as-bind does elsewhere, in a tenth of its size.
 *
 * It reads the same custom section (build/as-bind/transform.mjs), and knows numbers, strings and typed arrays, which is all
 * that the cold surface speaks. A build without a collector is emptied before each call (assembly/query.ts). Tested in
 * binding.test.ts against as-bind.
 *
 * @module
 */

interface Runtime {
  readonly memory: WebAssembly.Memory;
  __new(octets: number, id: number): number;
  __pin(at: number): number;
  __unpin(at: number): void;
  coldReset?(): void;
}

interface Bindings {
  readonly typeIds: Readonly<Record<string, { readonly id: number }>>;
  readonly exportedFunctions: Readonly<Record<string, { readonly returnType: string; readonly parameters: readonly string[] }>>;
}

type TypedArray = Uint8Array | Uint16Array | Int32Array;
type Call = (...values: unknown[]) => unknown;

const STRING = "~lib/string/String";
/** AssemblyScript 0.28: the run-time id of what an array lies in. */
const ARRAY_BUFFER = 1;
/** Before each object stands its size. */
const SIZE_BEFORE = 4;
/** Of an array: its buffer, where its first octet lies, how many octets it has. */
const ARRAY_OCTETS = 12;

const ARRAYS: Readonly<Record<string, { new (buffer: ArrayBuffer, at: number, length: number): TypedArray; readonly BYTES_PER_ELEMENT: number }>> = {
  "~lib/typedarray/Uint8Array": Uint8Array,
  "~lib/typedarray/Uint16Array": Uint16Array,
  "~lib/typedarray/Int32Array": Int32Array,
};

/** An instance of `module` whose cold functions take and give strings and arrays. */
export function instantiateSync(module: WebAssembly.Module): { exports: Record<string, Call> } {
  const raw = new WebAssembly.Instance(module, {}).exports;
  const runtime = raw as unknown as Runtime;
  const { typeIds, exportedFunctions } = JSON.parse(new TextDecoder().decode(WebAssembly.Module.customSections(module, "as-bind_bindings")[0])) as Bindings;
  const { put, take } = border(runtime, typeIds);
  const bind = (name: string): Call => {
    const { parameters, returnType } = exportedFunctions[name]!;
    return (...values) => {
      runtime.coldReset?.();
      const given = parameters.map((type, i) => put(values[i], type));
      const result = take((raw[name] as (...given: number[]) => number)(...given), returnType);
      parameters.forEach((type, i) => type in typeIds && runtime.__unpin(given[i]!));
      return result;
    };
  };
  return { exports: Object.fromEntries(Object.keys(exportedFunctions).map((name) => [name, bind(name)])) };
}

/** How a value of a type goes in, and comes out. What goes in is safe from the collector until it is unpinned. */
function border(runtime: Runtime, typeIds: Bindings["typeIds"]) {
  const buffer = runtime.memory.buffer as ArrayBuffer;
  const words = new DataView(buffer);
  const word = (at: number) => words.getUint32(at, true);
  const make = (octets: number, id: number) => runtime.__pin(runtime.__new(octets, id));

  const put = (value: unknown, type: string): number => {
    const { id } = typeIds[type] ?? { id: 0 };
    if (type === STRING) {
      const text = value as string;
      const at = make(2 * text.length, id);
      for (let i = 0; i < text.length; i++) words.setUint16(at + 2 * i, text.charCodeAt(i), true);
      return at;
    }
    if (!(type in ARRAYS)) return value as number;
    const { buffer: from, byteOffset, byteLength } = value as TypedArray;
    const octets = make(byteLength, ARRAY_BUFFER);
    new Uint8Array(buffer).set(new Uint8Array(from, byteOffset, byteLength), octets);
    const at = make(ARRAY_OCTETS, id);
    [octets, octets, byteLength].forEach((one, i) => words.setUint32(at + 4 * i, one, true));
    runtime.__unpin(octets);
    return at;
  };
  const take = (result: number, type: string): unknown => {
    if (type === STRING) return new TextDecoder("utf-16le").decode(new Uint8Array(buffer, result, word(result - SIZE_BEFORE)));
    const Kind = ARRAYS[type];
    return Kind ? new Kind(buffer, word(result + 4), word(result + 8) / Kind.BYTES_PER_ELEMENT).slice() : result;
  };
  return { put, take };
}
