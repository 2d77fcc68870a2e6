// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What one side of a mirror says: numbers that the core and its hosts both write down, read from their sources so that they can
 * be compared, and altered so that the comparison can be tried. Used by tests/mirrors.test.ts.
 */
import { Declarations, type Value } from "./declarations.ts";

export interface Reading {
  readonly file: string;
  /** Constants and classes that it is made of, and places in the text. */
  readonly parts: readonly (string | RegExp)[];
  read(from: Declarations): unknown;
}

/** The values of constants, in the order named. */
export function constants(file: string, ...names: string[]): Reading {
  return { file, parts: names, read: (from) => names.map((name) => from.constant(name)) };
}

/** All numbers whose names begin so, by the rest of their names but for `without`. */
export function enumeration(file: string, prefix: string, without: readonly string[] = []): Reading {
  const all = (from: Declarations) => Object.entries(from.enumeration(prefix)).filter(([name]) => !without.includes(name));
  return { file, parts: all(new Declarations(file)).map(([name]) => prefix + name), read: (from) => Object.fromEntries(all(from)) };
}

/** What `turn` makes of a constant. */
export function made<T extends Value>(file: string, name: string, turn: (value: T) => unknown): Reading {
  return { file, parts: [name], read: (from) => turn(from.constant(name) as T) };
}

/** What `turn` makes of another reading. */
export function turned<T>(reading: Reading, turn: (value: T) => unknown): Reading {
  return { ...reading, read: (from) => turn(reading.read(from) as T) };
}

/** The numbers in the one place where a file is like `pattern`, its groups. */
export function inline(file: string, pattern: RegExp): Reading {
  return { file, parts: [pattern], read: (from) => from.numbersIn(pattern) };
}

/** The fields of a class. */
export function fields(file: string, name: string): Reading {
  return { file, parts: [name], read: (from) => from.fields(name) };
}

/** Names in the places that their numbers say, the first `from`: ["none", "key"] of { NONE: 0, KEY: 1 }. */
export function inOrder(numbers: Record<string, number>, from = 0): string[] {
  const places: string[] = [];
  for (const [name, number] of Object.entries(numbers)) places[number - from] = camel(name);
  return places;
}

/** "noFix" of NO_FIX. */
export function camel(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** What a reading says, and what it would say after each change of one of its parts. */
export function trial({ file, parts, read }: Reading): { readonly says: unknown; readonly altered: readonly (readonly [part: string, says: unknown])[] } {
  const source = new Declarations(file);
  const altered = parts.map((part) => [String(part), read(typeof part === "string" ? source.altered(part) : source.alteredIn(part))] as const);
  return { says: read(source), altered };
}
