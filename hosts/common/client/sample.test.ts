// SPDX-License-Identifier: MIT OR Apache-2.0
/** A sample: its JSON document, its problems in words, its kiss. @module */

import { describe, expect, it } from "vitest";
import { problemsOf, testNames } from "./problems.ts";
import { Sample, type SampleFields } from "./sample.ts";

const FIELDS: SampleFields = {
  source: "time.example.org", address: "192.0.2.1", port: 123,
  version: 4, mode: 4, leap: 0, stratum: 1, poll: 6, precision: -20, refid: "GPS",
  offset: 0.25, offsetNs: 250_000_000n, delay: 0.01, dispersion: 1e-6, rootDelay: 0, rootDispersion: 0.001, rootDistance: 0.006, rootDistanceNs: 6_000_000n,
  t1: 1_900_000_000_000_000_001n, t2: 1_900_000_000_255_000_002n, t3: 1_900_000_000_255_000_003n, t4: 1_900_000_000_010_000_004n,
  timestamps: { t1: "kernel", t4: "user" }, authenticated: false, interleaved: false, problemBits: 0,
};

const TEST4 = 1 << 3;
const TEST6 = 1 << 5;
const TESTA = 1 << 7;

describe("the JSON document of a sample", () => {
  it("has exactly the fields of the vocabulary, in their order", () => {
    expect(Object.keys(new Sample(FIELDS).toJSON())).toEqual([
      "source", "address", "port", "version", "mode", "leap", "stratum", "poll", "precision", "refid", "offset", "delay", "dispersion",
      "rootDelay", "rootDispersion", "rootDistance", "timestamps", "authenticated", "interleaved", "t1", "t2", "t3", "t4", "problems",
    ]);
  });

  it("survives JSON.stringify: times as strings that lose no nanosecond", () => {
    const document: unknown = JSON.parse(JSON.stringify(new Sample(FIELDS)));
    expect(document).toMatchObject({ t1: "1900000000000000001", t4: "1900000000010000004", offset: 0.25, timestamps: { t1: "kernel", t4: "user" }, problems: [] });
  });

  it("before 1970 has negative times", () => {
    expect(new Sample({ ...FIELDS, t2: -5n }).toJSON().t2).toBe("-5");
  });

  it("lists its problems as text, number first", () => {
    expect(new Sample({ ...FIELDS, leap: 3, stratum: 0, problemBits: TEST6 }).toJSON().problems).toEqual(["test6 the server is not synchronised (leap 3, stratum 0)"]);
  });
});

describe("the problems of a sample", () => {
  it("are none when it is fit", () => {
    const sample = new Sample(FIELDS);
    expect([sample.problems(), sample.usable, sample.kiss]).toEqual([[], true, undefined]);
  });

  it("name each test once, whatever the bits", () => {
    const names = testNames(0xffff_ffff);
    expect(names).toEqual(["test1", "test2", "test3", "test4", "test5", "test6", "test7", "testA", "testB", "testC", "testD", "testE", "testF", "testG", "testH"]);
    for (let bit = 0; bit < names.length; bit++) {
      const [problem, ...more] = problemsOf(1 << bit, FIELDS);
      expect(more).toEqual([]);
      expect(problem?.test).toBe(names[bit]);
      expect(problem?.message).toMatch(/\w{4}/);
    }
    expect(testNames(0)).toEqual([]);
  });

  it("make it unusable, each alone", () => {
    for (let bit = 0; bit < 13; bit++) expect(new Sample({ ...FIELDS, problemBits: 1 << bit }).usable).toBe(false);
  });
});

describe("a kiss", () => {
  it("is the code, with its meaning in the problem", () => {
    const sample = new Sample({ ...FIELDS, stratum: 0, refid: "DENY", problemBits: TEST4 | TESTA });
    expect(sample.kiss).toBe("DENY");
    expect(sample.problems().map(({ test }) => test)).toEqual(["test4", "testA"]);
    expect(sample.problems()[1]?.message).toMatch(/^kiss-o'-death DENY: ./);
  });

  it("of an unknown code is told without a meaning", () => {
    expect(problemsOf(TESTA, { leap: 3, stratum: 0, refid: "X123" })).toEqual([{ test: "testA", message: "kiss-o'-death X123" }]);
  });

  it("is not every refid that looks like one: only a kiss has the code", () => {
    expect(new Sample({ ...FIELDS, refid: "RATE" }).kiss).toBeUndefined();
  });
});
