// SPDX-License-Identifier: MIT OR Apache-2.0
/** The drift file: what survives a crash, a corrupt file and a missing directory. @module */

import { chmod, mkdtemp, open, readFile, readdir, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatDrift, parseDrift, readDrift, writeDrift } from "./drift.ts";
import { filesOver, type FileSystem } from "../hosts/node/files.ts";
import { DriftKeeper } from "./driftkeeper.ts";

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "escapement-"));
  file = join(directory, "drift");
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const DRIFT = { frequency: -12.345678e-6, skew: 0.25e-6 };
const real: FileSystem = { open, rename, unlink, stat };

describe("a drift file", () => {
  it("says again what was written, to the millionth of a ppm", async () => {
    await writeDrift(file, DRIFT);
    expect(await readFile(file, "utf8")).toBe("-12.345678 0.250000\n");
    const { drift, trouble } = await readDrift(file);
    expect(trouble).toBeUndefined();
    expect(drift!.frequency).toBeCloseTo(DRIFT.frequency, 15);
    expect(drift!.skew).toBeCloseTo(DRIFT.skew, 15);
  });

  it("may be read by all, whatever the umask", async () => {
    await writeDrift(file, DRIFT);
    expect((await stat(file)).mode & 0o777).toBe(0o644);
  });

  it("leaves no other file behind", async () => {
    await writeDrift(file, DRIFT);
    await writeDrift(file, DRIFT);
    expect(await readdir(directory)).toEqual(["drift"]);
  });

  it("is the old one when the machine dies before the new one is in place", async () => {
    await writeDrift(file, DRIFT);
    const dies = filesOver({ ...real, rename: () => new Promise(() => {}) });
    void writeDrift(file, { frequency: 99e-6, skew: 1e-6 }, dies);
    await expect.poll(async () => (await readdir(directory)).length).toBe(2);
    expect((await readDrift(file)).drift!.frequency).toBeCloseTo(DRIFT.frequency, 15);
    // And the remains do not disturb the next run.
    await writeDrift(file, { frequency: 1e-6, skew: 1e-6 });
    expect((await readDrift(file)).drift!.frequency).toBeCloseTo(1e-6, 15);
  });

  it("is the old one, and alone, when it cannot be replaced", async () => {
    await writeDrift(file, DRIFT);
    const fails = filesOver({ ...real, rename: () => Promise.reject(new Error("EIO")) });
    await expect(writeDrift(file, { frequency: 0, skew: 0 }, fails)).rejects.toThrow("EIO");
    expect(await readdir(directory)).toEqual(["drift"]);
    expect((await readDrift(file)).drift!.frequency).toBeCloseTo(DRIFT.frequency, 15);
  });

  it.each([[""], ["\0\0\0\0"], ["1"], ["1 2 3"], ["nan 1"], ["1 inf"], ["501 1"], ["1 -1"], ["1 501"], ["0x10 1"], ["1,5 1"], [`1 ${"1".repeat(1000)}`]])("that says %j says nothing, and that in words", async (text) => {
    await writeFile(file, text);
    const { drift, trouble } = await readDrift(file);
    expect(drift).toBeUndefined();
    expect(trouble).toContain("something else; it will be replaced");
  });

  it("that is not there is told from one that cannot be read", async () => {
    expect((await readDrift(file)).trouble).toContain("is not there yet");
    expect((await readDrift(directory)).trouble).toContain("could not be read");
  });

  it("of any text is read or refused, and what is read is in range", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.tuple(fc.float(), fc.float()).map((pair) => pair.join(" "))), (text) => {
      const drift = parseDrift(text);
      return drift === undefined || (Math.abs(drift.frequency) <= 500.1e-6 && drift.skew >= 0 && drift.skew <= 500.1e-6);
    }));
  });

  it("keeps every correction that an actuator can make", () => {
    fc.assert(fc.property(fc.double({ min: -500e-6, max: 500e-6, noNaN: true }), fc.double({ min: 0, max: 100e-6, noNaN: true }), (frequency, skew) => {
      const drift = parseDrift(formatDrift({ frequency, skew }))!;
      return Math.abs(drift.frequency - frequency) < 1e-12 && Math.abs(drift.skew - skew) < 1e-12;
    }));
  });
});

describe("the keeper", () => {
  const said: string[] = [];
  const keeper = (path: string) => new DriftKeeper(path, (_, message) => void said.push(message));
  const known = { synchronised: true, frequencyPpm: 5, skewPpm: 0.5 };
  beforeEach(() => void said.splice(0));

  it("writes each hour, not before", async () => {
    const kept = keeper(file);
    for (let second = 0; second < 3599; second++) kept.tick(known);
    expect(await readdir(directory)).toEqual([]);
    kept.tick(known);
    await expect.poll(() => readFile(file, "utf8").catch(() => "")).toBe("5.000000 0.500000\n");
  });

  it.each([
    ["a clock that is not synchronised", { ...known, synchronised: false }],
    ["a frequency that is not known", { ...known, skewPpm: 101 }],
    ["a frequency that is no number", { ...known, frequencyPpm: NaN }],
  ])("does not remember %s", async (_, state) => {
    await keeper(file).keep(state);
    expect(await readdir(directory)).toEqual([]);
  });

  it("takes no file for more certain than a cold machine allows", async () => {
    await writeFile(file, "5 0.000001\n");
    expect((await keeper(file).read())!.skew).toBeCloseTo(1e-6, 12);
    expect(said).toEqual([]);
  });

  it("says once that the directory is missing, and goes on", async () => {
    const kept = keeper(join(directory, "missing/drift"));
    await kept.keep(known);
    await kept.keep(known);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain("could not be written: ENOENT");
  });

  it("writes what it is told in a hurry one after the other", async () => {
    const kept = keeper(file);
    await Promise.all([1, 2, 3].map((frequencyPpm) => kept.keep({ ...known, frequencyPpm })));
    expect(await readFile(file, "utf8")).toBe("3.000000 0.500000\n");
    expect(said).toEqual([]);
    await chmod(file, 0o600);
  });
});
