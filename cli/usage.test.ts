// SPDX-License-Identifier: MIT OR Apache-2.0
/** Arguments, numbers and tables of the command. @module */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isoTime, seconds, secondsCell, table } from "./format.ts";
import { broadcastOption } from "./serve.ts";
import { UsageError, listenOption, numberOption, parse } from "./usage.ts";

describe("arguments", () => {
  const options = { json: { type: "boolean" }, timeout: { type: "string" }, listen: { type: "string", multiple: true } } as const;

  it("are options and positionals in any order", () => {
    const { values, positionals } = parse(["a", "--json", "--timeout", "3", "--listen=x", "b", "--listen", "y", "--", "--c"], options);
    expect({ ...values }).toEqual({ json: true, timeout: "3", listen: ["x", "y"] });
    expect(positionals).toEqual(["a", "b", "--c"]);
  });

  it.each([["--help"], ["-h"]])("%s is an option of every command", (help) => {
    expect(parse([help], options).values.help).toBe(true);
  });

  it.each([[["--nonsense"], "--nonsense"], [["--timeout"], "--timeout"], [["--json=1"], "--json"], [["-z"], "-z"]])("%j is wrong usage, and the message names it", (args, name) => {
    expect(() => parse(args, options)).toThrow(UsageError);
    expect(() => parse(args, options)).toThrow(name);
  });
});

describe("a number", () => {
  const range = { min: 0.5, max: 8 };

  it("not given is undefined", () => {
    expect(numberOption("n", undefined, range)).toBeUndefined();
  });

  it.each([["0.5", 0.5], ["8", 8], [" 2 ", 2], ["1e0", 1]])("%j is read", (text, value) => {
    expect(numberOption("n", text, range)).toBe(value);
  });

  it.each(["", " ", "x", "0.49", "8.01", "-1", "NaN", "Infinity", "2s", "1,5"])("%j is wrong usage that names option, range and text", (text) => {
    expect(() => numberOption("n", text, range)).toThrow(UsageError);
    expect(() => numberOption("n", text, range)).toThrow(`--n: expected a number of 0.5..8, got "${text}"`);
  });

  it("that must be whole is not cut", () => {
    expect(() => numberOption("n", "1.5", { ...range, integer: true })).toThrow("a whole number");
    expect(numberOption("n", "3", { ...range, integer: true })).toBe(3);
  });
});

describe("where to listen", () => {
  it.each([
    ["127.0.0.1:123", "127.0.0.1", 123],
    ["[::1]:0", "::1", 0],
    ["[fe80::1%eth0]:65535", "fe80::1%eth0", 65535],
    [":123", undefined, 123],
    ["localhost:1", "localhost", 1],
  ])("%s", (text, address, port) => {
    expect(listenOption("listen", text)).toEqual({ address, port });
  });

  it.each(["", "123", "127.0.0.1", "::1:123", "[::1]", "[]:123", "a:65536", "a:-1", "a:b", "[::1:5"])("%j is wrong usage that shows what would do", (text) => {
    expect(() => listenOption("listen", text)).toThrow(UsageError);
    expect(() => listenOption("listen", text)).toThrow(`expected ADDRESS:PORT, [IPV6]:PORT or :PORT, got "${text}"`);
  });

  it("is an option or a UsageError, whatever the text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          return Number.isInteger(listenOption("listen", text).port);
        } catch (error) {
          return error instanceof UsageError;
        }
      }),
    );
  });
});

describe("where to broadcast", () => {
  it.each<[string, object]>([
    ["192.0.2.255", { address: "192.0.2.255" }],
    ["224.0.1.1,interval=16,ttl=4", { address: "224.0.1.1", interval: 16, ttl: 4 }],
    ["ff02::101,interface=eth0,port=1123", { address: "ff02::101", interface: "eth0", port: 1123 }],
  ])("%s", (text, options) => {
    expect(broadcastOption(text)).toEqual(options);
  });

  it.each(["", ",ttl=1", "ttl=1", "192.0.2.255,ttl", "192.0.2.255,ttl=0", "192.0.2.255,ttl=256", "192.0.2.255,ttl=1.5", "192.0.2.255,interval=", "192.0.2.255,hops=1", "192.0.2.255,interface=", "192.0.2.255,__proto__=1"])("%j is wrong usage that names the option", (text) => {
    expect(() => broadcastOption(text)).toThrow(UsageError);
    expect(() => broadcastOption(text)).toThrow("--broadcast");
  });
});

describe("numbers for people", () => {
  it.each([[0, "0.000 s"], [1.5, "1.500 s"], [-0.25, "-250.000 ms"], [1.2e-3, "1.200 ms"], [2.5e-6, "2.500 µs"], [-3e-9, "-3 ns"], [7200, "7200.000 s"]])("%d s is %j", (value, text) => {
    expect(seconds(value)).toBe(text);
  });

  it("bear a sign where one is wanted", () => {
    expect([seconds(1, { sign: true }), seconds(-1, { sign: true })]).toEqual(["+1.000 s", "-1.000 s"]);
  });

  it("have their units below each other in a column", () => {
    expect([1.5, -1.2e-3].map((value) => secondsCell(value, { sign: true }))).toEqual(["+1.500 s ", "-1.200 ms"]);
  });

  it("a time has no more digits than its bound leaves meaningful", () => {
    const ns = 1_900_000_000_123_456_789n;
    expect(isoTime(ns, 1e-9)).toBe("2030-03-17T17:46:40.123456789Z");
    expect(isoTime(ns, 1e-3)).toBe("2030-03-17T17:46:40.1234Z");
    expect(isoTime(ns, 100)).toBe("2030-03-17T17:46:40Z");
    expect(isoTime(ns, 0)).toBe("2030-03-17T17:46:40.123456789Z");
  });

  it("a time before 1970 is rounded down, too", () => {
    expect(isoTime(-1n, 1e-9)).toBe("1969-12-31T23:59:59.999999999Z");
  });

  it("a table is as wide as its widest cells, colours not counted", () => {
    expect(table([["a", "bb"], ["\u001b[32mccc\u001b[0m", "d"]], new Set([1]))).toBe("a    bb\n\u001b[32mccc\u001b[0m   d");
  });
});
