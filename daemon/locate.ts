// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Where in a TOML text a key and its value stand, for errors about what a value means.
 *
 * The parser tells positions of syntax errors only, so this walks a text that the parser has already accepted. It judges
 * nothing: of a text that is not TOML it makes what it can, and never throws or hangs. Tested in locate.test.ts.
 *
 * @module
 */

import { parse } from "smol-toml";

/** Counted from 1; columns in UTF-16 units, as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Keys and, in arrays, indices from 0. */
export type Path = readonly (string | number)[];

interface Offsets {
  readonly key: number;
  value?: number;
}

/** Places in one text. */
export class Locator {
  readonly #text: string;
  readonly #found: ReadonlyMap<string, Offsets>;

  constructor(text: string) {
    this.#text = text;
    this.#found = new Walker(text).walk();
  }

  /** Where the key at `path` stands; of a path that is not there, its nearest ancestor's. */
  key(path: Path): Place {
    return this.#place(this.#nearest(path)?.key ?? 0);
  }

  /** Where its value stands; of a table with a header, the header. */
  value(path: Path): Place {
    const found = this.#nearest(path);
    return this.#place(found?.value ?? found?.key ?? 0);
  }

  #nearest(path: Path): Offsets | undefined {
    for (let length = path.length; length > 0; length--) {
      const found = this.#found.get(JSON.stringify(path.slice(0, length)));
      if (found) return found;
    }
    return undefined;
  }

  #place(offset: number): Place {
    const before = this.#text.slice(0, offset);
    const lineStart = before.lastIndexOf("\n") + 1;
    return { line: before.split("\n").length, column: offset - lineStart + 1 };
  }
}

const BARE_KEY = /[A-Za-z0-9_-]*/y;
const BLANK = /(?:[ \t]|#[^\n]*)*/y;
const BLANK_LINES = /(?:\s|#[^\n]*)*/y;
const BARE_VALUE = /[^,\]}#\r\n]*/y;
/** The longest match wins: three quotes before one; at its end a multi-line string may have two quotes more. */
const TEXT = /"""(?:[^\\]|\\[^])*?"""(?:"{0,2})|'''[^]*?'''(?:'{0,2})|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?/y;

class Walker {
  readonly #text: string;
  readonly #found = new Map<string, Offsets>();
  /** How many tables each array of tables has so far. */
  readonly #counts = new Map<string, number>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  walk(): ReadonlyMap<string, Offsets> {
    let table: Path = [];
    for (this.#skip(BLANK_LINES); this.#at < this.#text.length; this.#skip(BLANK_LINES)) {
      const before = this.#at;
      if (this.#text[this.#at] === "[") table = this.#header();
      else this.#pair(table);
      // Only a text that is not TOML stands still.
      if (this.#at === before) this.#at += 1;
    }
    return this.#found;
  }

  /** `[a.b]` or `[[a.b]]`; returns the path of the table that begins. */
  #header(): Path {
    const many = this.#text.startsWith("[[", this.#at);
    this.#at += many ? 2 : 1;
    const keys = this.#keys();
    const path: (string | number)[] = [];
    keys.forEach(({ name, at }, position) => {
      path.push(name);
      this.#note(path, at);
      const id = JSON.stringify(path);
      if (many && position === keys.length - 1) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
      const count = this.#counts.get(id);
      if (count === undefined) return;
      path.push(count - 1);
      this.#note(path, at);
    });
    this.#at += many ? 2 : 1;
    return path;
  }

  /** `a.b = value` inside `table`. */
  #pair(table: Path): void {
    const path = [...table];
    for (const { name, at } of this.#keys()) {
      path.push(name);
      this.#note(path, at);
    }
    if (this.#text[this.#at] === "=") this.#at += 1;
    this.#skip(BLANK);
    this.#value(path);
  }

  #value(path: Path): void {
    const found = this.#found.get(JSON.stringify(path));
    if (found) found.value ??= this.#at;
    const first = this.#text[this.#at];
    if (first === "[") this.#members("]", (index) => this.#element([...path, index]));
    else if (first === "{") this.#members("}", () => this.#pair(path));
    else if (first === '"' || first === "'") this.#skip(TEXT);
    else this.#skip(BARE_VALUE);
  }

  #element(path: Path): void {
    this.#note(path, this.#at);
    this.#value(path);
  }

  /** What stands between brackets, apart from commas. */
  #members(end: string, read: (index: number) => void): void {
    this.#at += 1;
    for (let index = 0; ; index++) {
      this.#skip(BLANK_LINES);
      if (this.#at >= this.#text.length) return;
      if (this.#text[this.#at] === end) break;
      const before = this.#at;
      read(index);
      this.#skip(BLANK_LINES);
      if (this.#text[this.#at] === ",") this.#at += 1;
      if (this.#at === before) this.#at += 1;
    }
    this.#at += 1;
  }

  /** Names with dots between them, and the blank after them. */
  #keys(): { name: string; at: number }[] {
    const keys: { name: string; at: number }[] = [];
    do {
      if (keys.length > 0) this.#at += 1;
      this.#skip(BLANK);
      const at = this.#at;
      const quoted = this.#text[at] === '"' || this.#text[at] === "'";
      const raw = this.#skip(quoted ? TEXT : BARE_KEY);
      keys.push({ name: quoted ? unquoted(raw) : raw, at });
      this.#skip(BLANK);
    } while (this.#text[this.#at] === ".");
    return keys;
  }

  #note(path: Path, key: number): void {
    const id = JSON.stringify(path);
    if (!this.#found.has(id)) this.#found.set(id, { key });
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [match = ""] = pattern.exec(this.#text) ?? [];
    this.#at += match.length;
    return match;
  }
}

/** Escapes are the parser's business. */
function unquoted(raw: string): string {
  try {
    return String(parse(`key = ${raw}`)["key"]);
  } catch {
    return raw;
  }
}
