// SPDX-License-Identifier: MIT OR Apache-2.0
/** Places of keys and values in TOML texts of every form. @module */

import process from "node:process";
import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { Locator, type Path } from "./locate.ts";

/** line:column of the key and of the value. */
function places(text: string, path: Path): [string, string] {
  const locator = new Locator(text);
  const [key, value] = [locator.key(path), locator.value(path)];
  return [`${key.line}:${key.column}`, `${value.line}:${value.column}`];
}

describe("a key's place", () => {
  it.each<[string, string, Path, [string, string]]>([
    ["a plain pair", "a = 1", ["a"], ["1:1", "1:5"]],
    ["after comments and blank lines", "# a = 0\n\n  a = 1 # a = 2", ["a"], ["3:3", "3:7"]],
    ["in a section", "[s]\na = 1\n[t]\nb = 2", ["t", "b"], ["4:1", "4:5"]],
    ["of a section", "[s]\n[ t ]", ["t"], ["2:3", "2:3"]],
    ["in the second of an array of tables", "[[s]]\na = 1\n[[s]]\na = 2", ["s", 1, "a"], ["4:1", "4:5"]],
    ["of the second of an array of tables", "[[s]]\n[[s]]", ["s", 1], ["2:3", "2:3"]],
    ["in a section of the last of an array of tables", "[[s]]\n[[s]]\n[s.t]\na = 1", ["s", 1, "t", "a"], ["4:1", "4:5"]],
    ["with dots", "a.b . c = 1", ["a", "b", "c"], ["1:7", "1:11"]],
    ["in quotes", '"a b" = 1\n\'c.d\' = 2\n"\\u0065" = 3', ["e"], ["3:1", "3:12"]],
    ["in an inline table", "t = { a = 1, b.c = 2 }", ["t", "b", "c"], ["1:16", "1:20"]],
    ["in an inline table of several lines", "t = {\n  a = 1, # one\n  b = 2,\n}\nc = 3", ["t", "b"], ["3:3", "3:7"]],
    ["after it", "t = {\n  a = 1, # one\n  b = 2,\n}\nc = 3", ["c"], ["5:1", "5:5"]],
    ["of an array's member", "l = [ 1,\n  2 ]", ["l", 1], ["2:3", "2:3"]],
    ["of a table within an array", "l = [ { a = 1 }, { a = 2 } ]", ["l", 1, "a"], ["1:20", "1:24"]],
    ["after a text with brackets", 's = "[x] # \\" = {"\na = 1', ["a"], ["2:1", "2:5"]],
    ["after a text of several lines", 's = """\n[x]\na = 0\n""""\na = 1', ["a"], ["5:1", "5:5"]],
    ["after a literal of several lines", "s = '''\\\na = 0'''\na = 1", ["a"], ["3:1", "3:5"]],
    ["after a date with a blank", "d = 1979-05-27 07:32:00Z\na = 1", ["a"], ["2:1", "2:5"]],
    ["with CRLF", "a = 1\r\nb = 2\r\n", ["b"], ["2:1", "2:5"]],
    ["that is not there is its ancestor's", "[s]\na = 1", ["s", "x"], ["1:2", "1:2"]],
    ["of nothing at all is the beginning", "", ["s", "x"], ["1:1", "1:1"]],
  ])("%s", (_, text, path, expected) => {
    parse(text);
    expect(places(text, path)).toEqual(expected);
  });
});

describe("any text", () => {
  it("never throws and never hangs, TOML or not", () => {
    const token = fc.constantFrom("[", "]", "[[", "]]", "{", "}", "=", ".", ",", '"', "'", '"""', "'''", "#", "\n", "\\", " ", "a", "1", "\r", "é");
    fc.assert(fc.property(fc.oneof(fc.string(), fc.array(token).map((parts) => parts.join(""))), (text) => {
      const place = new Locator(text).key(["a"]);
      return place.line >= 1 && place.column >= 1;
    }), { numRuns: 2000 });
  });

  it("stays quick on long ones", () => {
    for (const text of ['"'.repeat(50_000), "[".repeat(900), `a = "${"\\\\".repeat(100_000)}"`, "a.".repeat(5000)]) {
      // The processor's time: the wall's is others', too.
      const started = process.cpuUsage();
      new Locator(text).key(["a"]);
      const { user, system } = process.cpuUsage(started);
      expect((user + system) / 1000).toBeLessThan(3000);
    }
  });
});

describe("a written key", () => {
  it("is found where it was written", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
    const value = fc.constantFrom("1", "-2.5", "true", '"te#xt"', "'lit]'", "[1, [2]]", "{ x = 1 }", '"""\nmany\n"""', "1979-05-27");
    const pairs = fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, minLength: 1 });
    fc.assert(fc.property(pairs, (written) => {
      const text = written.map(([key, literal]) => `  ${key} = ${literal} # ${key} = 0`).join("\n");
      const lines = text.split("\n");
      const locator = new Locator(text);
      for (const [key, literal] of written) {
        const at = locator.key([key]);
        expect(lines[at.line - 1]!.slice(at.column - 1)).toMatch(new RegExp(`^${key} =`));
        const value = locator.value([key]);
        expect(lines.slice(value.line - 1).join("\n").slice(value.column - 1).startsWith(literal)).toBe(true);
      }
    }));
  });
});
