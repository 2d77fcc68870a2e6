// SPDX-License-Identifier: MIT OR Apache-2.0
/** leap-seconds.list: read, its hash held against it, and every kind of damage refused. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseLeapFile } from "./leapfile.ts";

const at = (text: string) => BigInt(Date.parse(text)) * 1_000_000n;
const since1900 = (text: string) => String(Date.parse(text) / 1000 + 2_208_988_800);
const UPDATED = since1900("2026-07-01T00:00:00Z");
const EXPIRES = since1900("2027-06-28T00:00:00Z");
const LINES = [[since1900("1972-01-01"), 10], [since1900("1972-07-01"), 11], [since1900("2027-01-01"), 12]] as const;

function file({ lines = LINES as readonly (readonly [string, number])[], hash = undefined as string | undefined, updated = `#$\t ${UPDATED}`, expires = `#@\t${EXPIRES}`, end = "\n" } = {}): string {
  const digest = createHash("sha1").update(UPDATED + EXPIRES + lines.map(([when, offset]) => when + offset).join("")).digest("hex");
  const words = hash ?? digest.match(/.{8}/g)!.join(" ");
  return ["# comment", updated, "#", expires, ...lines.map(([when, offset]) => `${when}\t${offset}\t# a day`), "", `#h\t${words}`, ""].join(end);
}

describe("leap-seconds.list", () => {
  it.each(["\n", "\r\n"])("is read, with line ends %j", async (end) => {
    const table = await parseLeapFile(file({ end }));
    expect(table.entries.map(({ offset }) => offset)).toEqual([10, 11, 12]);
    expect([table.updatedNs, table.expiresNs]).toEqual([at("2026-07-01T00:00:00Z"), at("2027-06-28T00:00:00Z")]);
    expect([at("1971-12-31"), at("1972-01-01"), at("2000-01-01"), at("2027-01-01")].map((ns) => table.offsetAt(ns))).toEqual([undefined, 10, 11, 12]);
    expect(table.next(at("2026-11-22"))).toEqual({ leap: 1, leapAtNs: at("2027-01-01") });
    expect(table.next(at("2027-01-01"))).toBeUndefined();
    expect([table.expired(at("2027-06-27")), table.expired(at("2027-06-28"))]).toEqual([false, true]);
  });

  it("can have a second deleted", async () => {
    const table = await parseLeapFile(file({ lines: [...LINES.slice(0, 2), [since1900("2027-07-01"), 10]] }));
    expect(table.next(at("2026-11-22"))?.leap).toBe(2);
  });

  it("may have words of the hash without leading zeros", async () => {
    for (let offset = 10; ; offset++) {
      const lines = [[since1900("1972-01-01"), offset]] as const;
      const text = file({ lines });
      if (!/#h\t(.* )?0/.test(text)) continue;
      const shorter = text.replace(/(#h\t)(.*)/, (_all, mark: string, words: string) => mark + words.replace(/\b0+(?=[\da-f])/g, ""));
      expect(shorter).not.toBe(text);
      expect((await parseLeapFile(shorter)).entries.length).toBe(1);
      return;
    }
  });

  it("of this machine, where there is one, is the truth about 2016", async () => {
    const path = "/usr/share/zoneinfo/leap-seconds.list";
    if (!existsSync(path)) return console.warn("SKIPPED: this machine has no leap-seconds.list");
    const table = await parseLeapFile(readFileSync(path, "utf8"));
    expect([table.offsetAt(at("2016-12-31T23:59:59Z")), table.offsetAt(at("2017-01-01"))]).toEqual([36, 37]);
    expect(table.next(at("2016-12-01"))).toEqual({ leap: 1, leapAtNs: at("2017-01-01") });
  });
});

describe("a damaged leap-seconds.list", () => {
  it("with any digit of its contents changed is refused by its hash", async () => {
    const text = file();
    const places = [...text.matchAll(/\d/g)].map(({ index }) => index).filter((index) => text.lastIndexOf("#h", index) < 0);
    expect(places.length).toBeGreaterThan(40);
    for (const place of places) {
      const changed = text.slice(0, place) + ((Number(text[place]) + 1) % 10) + text.slice(place + 1);
      await expect(parseLeapFile(changed), `digit ${place}`).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });

  it("cut anywhere is refused", async () => {
    const text = file().trimEnd();
    for (let length = 0; length < text.length; length++) await expect(parseLeapFile(text.slice(0, length)), `${length} characters`).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it.each<[string, string, RegExp]>([
    ["no hash", file().replace(/#h.*/, ""), /a hash/],
    ["a hash of four words", file({ hash: "1 2 3 4" }), /five words/],
    ["another hash", file({ hash: "1 2 3 4 5" }), /damaged or changed/],
    ["no date of change", file({ updated: "" }), /when it was changed/],
    ["no date of expiry", file({ expires: "" }), /when it expires/],
    ["a date that is none", file({ updated: "#$ soon" }), /seconds since 1900 in line 2/],
    ["a line of prose", `${file()}hello world\n`, /two numbers/],
    ["no entry", file({ lines: [] }), /at least one/],
    ["entries out of order", file({ lines: [LINES[1], LINES[0]] }), /in order/],
    ["a leap of two", file({ lines: [[LINES[0][0], 10], [LINES[1][0], 12]] }), /a second apart/],
    ["more than a megabyte", "#".repeat(2 ** 21), /at most/],
  ])("(%s) is refused with a reason", async (_what, text, reason) => {
    await expect(parseLeapFile(text)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(reason) });
  });
});
