// SPDX-License-Identifier: MIT OR Apache-2.0
/** The file of leap seconds: what it says of a moment, its end, and what becomes of a bad one at the start and later. */
import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { leapFileText, type LeapFilePlan } from "../tests/support/leap-file.ts";
import { freshDirectory } from "../tests/support/peers.ts";
import { LeapFile } from "./leaps.ts";

const directory = freshDirectory();
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, "leap-seconds.list");
/** 2026-12-01, and the end of that year. */
const NOW = 1_796_083_200;
const LEAP = 1_798_761_600;
const ns = (seconds: number) => BigInt(seconds) * 1_000_000_000n;
const PLAN: LeapFilePlan = { entries: [[63_072_000, 37], [LEAP, 38]], expires: LEAP + 180 * 86_400 };

let warnings: string[];
let changes = 0;
const warn = (message: string) => void warnings.push(message);
/** Each with a time of change of its own, however quick the test. */
function write(text: string): void {
  writeFileSync(path, text);
  utimesSync(path, NOW, NOW + ++changes);
}

beforeEach(() => {
  warnings = [];
  write(leapFileText(PLAN));
});

describe("a file of leap seconds", () => {
  it("says which comes, and TAI − UTC, before it and after", async () => {
    const file = await LeapFile.open(path, warn);
    expect(file.known(ns(NOW))).toEqual({ leap: 1, leapAtNs: ns(LEAP), taiOffset: 37 });
    expect(file.known(ns(LEAP))).toEqual({ taiOffset: 38 });
    expect(warnings).toEqual([]);
  });

  it("that has expired says nothing, and that is told once; a newer one says all again", async () => {
    const file = await LeapFile.open(path, warn);
    const late = ns(PLAN.expires);
    expect([file.known(late), file.known(late)]).toEqual([{}, {}]);
    expect(warnings).toEqual([expect.stringMatching(/leap-seconds\.list has expired.*newer/)]);
    write(leapFileText({ ...PLAN, expires: PLAN.expires + 1 }));
    await file.look();
    expect(file.known(late)).toEqual({ taiOffset: 38 });
    expect(file.known(late + 1_000_000_000n)).toEqual({});
    expect(warnings).toHaveLength(2);
  });

  it("is read anew when it has changed, and not else", async () => {
    const file = await LeapFile.open(path, warn);
    write(leapFileText({ ...PLAN, entries: [[63_072_000, 20], [LEAP, 19]] }));
    expect(file.known(ns(NOW)).leap).toBe(1);
    await file.look();
    expect(file.known(ns(NOW))).toEqual({ leap: 2, leapAtNs: ns(LEAP), taiOffset: 20 });
  });

  it.each([
    ["that is missing", () => rmSync(path), "there is none"],
    ["of something else", () => write("nonsense\n"), "expected a leap-seconds.list"],
    ["that was changed by hand", () => write(leapFileText(PLAN).replace("\t38", "\t36")), "hash"],
  ])("%s is an error at the start; later it is told once, and the old one goes on", async (_, spoil, message) => {
    const file = await LeapFile.open(path, warn);
    spoil();
    await expect(LeapFile.open(path, warn)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(new RegExp(`leap-seconds\\.list.*${message}`)) as string });
    await file.look();
    await file.look();
    await file.renew();
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`goes on:.*${message}`))]);
    expect(file.known(ns(NOW))).toEqual({ leap: 1, leapAtNs: ns(LEAP), taiOffset: 37 });
  });
});
