// SPDX-License-Identifier: MIT OR Apache-2.0
/** Cookie keys over simulated months: rotated, kept, shared, persisted, and erased when their time is over. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile, chmod } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { TestJar } from "../../../tests/support/cookies.ts";
import { files } from "../../node/files.ts";
import { DEFAULT_ROTATION, advance, checkedRotation, currentGeneration, freshGeneration, type Generation, type Rotation } from "./generations.ts";
import { formatGenerations, parseGenerations } from "./keytext.ts";
import { CookieKeyRing } from "./keys.ts";
import { derivedKeys, fileKeys, memoryKeys, type KeyStore } from "./stores.ts";

const random = (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes);
const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1, 5, 30);
const ROTATION: Rotation = { periodMs: DAY, keep: 2, leadMs: DAY / 24 };

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(path.join(os.tmpdir(), "escapement-keys-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

const ids = (generations: readonly Generation[]) => generations.map(({ id }) => id);

/** The generations at each hour of some days. */
function hours(days: number, rotation = ROTATION, from = START): { at: number; all: readonly Generation[]; sealing: Generation }[] {
  let all: readonly Generation[] = [];
  return Array.from({ length: days * 24 }, (_, hour) => {
    const at = from + hour * (DAY / 24);
    all = advance(all, at, rotation, random) ?? all;
    return { at, all, sealing: currentGeneration(all, at)! };
  });
}

describe("generations", () => {
  it("seal for a period each, in turn", () => {
    const sealing = hours(10).map((hour) => hour.sealing.id);
    expect(new Set(sealing).size).toBe(10);
    expect(sealing.map((id, hour) => hour === 0 || id === sealing[hour - 1] || hour % 24 === 0)).not.toContain(false);
  });

  it("open what they sealed until `keep` periods after, and are then gone", () => {
    const run = hours(10);
    const { sealing } = run[5 * 24]!;
    const present = run.filter(({ all }) => ids(all).includes(sealing.id)).map(({ at }) => (at - START) / DAY);
    // Made an hour before it seals, erased two periods after it stopped.
    expect(present[0]).toBeCloseTo(5 - 1 / 24);
    expect(present.at(-1)).toBeCloseTo(8 - 1 / 24);
  });

  it("are never many", () => {
    for (const { all } of hours(30)) expect(all.length).toBeLessThanOrEqual(ROTATION.keep + 2);
  });

  it("are there before they seal, for who reads the store late", () => {
    const run = hours(5);
    run.slice(1).forEach(({ sealing }, i) => expect(ids(run[i]!.all)).toContain(sealing.id));
  });

  it("begin anew after a long silence, at once", () => {
    const [first] = hours(1);
    const later = advance(first!.all, START + 100 * DAY, ROTATION, random)!;
    expect(later.length).toBe(1);
    expect(later[0]!.fromMs).toBe(START + 100 * DAY);
    expect(ids(later)).not.toEqual(ids(first!.all));
  });

  it("of a clock that was years ahead do not stop the rotation, still open, and go in the end", () => {
    const ahead = advance([], START + 5000 * DAY, ROTATION, random)!;
    let all: readonly Generation[] = ahead;
    const sealing = new Set<number>();
    for (let day = 0; day < 10; day++) {
      all = advance(all, START + day * DAY, ROTATION, random) ?? all;
      sealing.add(currentGeneration(all, START + day * DAY)!.id);
      if (day === 0) expect(ids(all)).toContain(ahead[0]!.id);
    }
    expect(sealing.size).toBe(10);
    expect(ids(all)).not.toContain(ahead[0]!.id);
  });

  it("always have one that seals, whatever the clock does", () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: -400, max: 400 }), { minLength: 1, maxLength: 40 }), (jumps) => {
      let [all, at]: [readonly Generation[], number] = [[], START];
      const rotation = { ...ROTATION, keep: 1 + (jumps.length % 6) };
      for (const jump of jumps) {
        at += jump * (DAY / 10);
        all = advance(all, at, rotation, random) ?? all;
        expect(currentGeneration(all, at)).toBeDefined();
        expect(new Set(ids(all)).size).toBe(all.length);
        expect(all.length).toBeLessThanOrEqual(8);
      }
    }), { numRuns: 200 });
  });

  it("never have id 0, nor one id twice", () => {
    const draws = [0, 7, 9];
    const scripted = (bytes: Uint8Array<ArrayBuffer>) => (bytes.length === 4 ? bytes.fill(0).fill(draws.shift() ?? 1, 3) : random(bytes));
    const taken = [{ id: 7, fromMs: 0, key: new Uint8Array(32) }];
    expect(freshGeneration(0, taken, scripted).id).toBe(9);
  });

  it("by default: one a day, eight at a time", () => {
    expect(checkedRotation()).toEqual(DEFAULT_ROTATION);
    expect(Math.max(...hours(20, DEFAULT_ROTATION).map(({ all }) => all.length))).toBe(8);
  });

  it.each([{ periodMs: 10 }, { periodMs: NaN }, { keep: 0 }, { keep: 7 }, { keep: 1.5 }, { periodMs: 5000, leadMs: 5000 }, { leadMs: -1 }])("refuse the rotation %j", (rotation) => {
    expect(() => checkedRotation(rotation)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

describe("keys as text", () => {
  it("come back as they were", () => {
    const { all } = hours(5).at(-1)!;
    expect(parseGenerations(formatGenerations(all), "here")).toEqual(all);
  });

  it.each([
    "", "{", "[]", "null", '{"format":"escapement nts keys 2","generations":[]}', '{"format":"escapement nts keys 1"}',
    ...['{"id":"00000000","from":"2026-01-01T00:00:00Z","key":"KEY"}', '{"id":"0000000g","from":"2026-01-01T00:00:00Z","key":"KEY"}', '{"id":1,"from":"2026-01-01T00:00:00Z","key":"KEY"}', '{"id":"00000001","from":"soon","key":"KEY"}', '{"id":"00000001","from":"2026-01-01T00:00:00Z","key":"abcd"}', "null"]
      .map((entry) => `{"format":"escapement nts keys 1","generations":[${entry.replace("KEY", "5e".repeat(32))}]}`),
  ])("are refused, and nothing of them is told: %s", (text) => {
    expect(() => parseGenerations(text, "/a/file")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(/^(?!.*5e5e).*\/a\/file/) }));
  });

  it("are refused cut off at any place", () => {
    const text = formatGenerations(hours(3).at(-1)!.all).trimEnd();
    for (let length = 0; length < text.length; length++) expect(() => parseGenerations(text.slice(0, length), "here")).toThrow("expected NTS keys");
  });
});

describe.each<[string, () => KeyStore]>([
  ["memory", () => memoryKeys(random)],
  ["a file", () => fileKeys(files, path.join(folder, `${randomBytes(6).toString("hex")}.json`), random)],
  ["a shared secret", () => derivedKeys(randomBytes(32))],
])("keys in %s", (_, make) => {
  it("keep a cookie good for as long as they are kept, through every rotation, and no longer", async () => {
    const clock = { ms: START };
    const ring = await CookieKeyRing.open(make(), { rotation: ROTATION, now: () => clock.ms });
    const jar = new TestJar(() => ring.keys);
    const cookie = jar.cookie(15, new Uint8Array(32).fill(1), new Uint8Array(32).fill(2));
    const good: boolean[] = [];
    for (let hour = 0; hour < 5 * 24; hour++) {
      good.push(jar.open(cookie) !== undefined);
      clock.ms += DAY / 24;
      await ring.refresh();
    }
    expect(good.lastIndexOf(true)).toBeGreaterThanOrEqual(2 * 24);
    expect(good.indexOf(false)).toBe(good.lastIndexOf(true) + 1);
    expect(good.lastIndexOf(true)).toBeLessThanOrEqual(3 * 24);
    ring.close();
  });

  it("are the same for two rings over one store", async () => {
    const store = make();
    const clock = { ms: START };
    const [a, b] = [await CookieKeyRing.open(store, { rotation: ROTATION, now: () => clock.ms }), await CookieKeyRing.open(store, { rotation: ROTATION, now: () => clock.ms })];
    for (let day = 0; day < 6; day++) {
      // One after the other: of two that write a file at the same moment, one has to look again (below).
      await a.refresh();
      await b.refresh();
      expect(ids(a.keys.all)).toEqual(ids(b.keys.all));
      const cookie = new TestJar(() => a.keys).cookie(15, new Uint8Array(32), new Uint8Array(32));
      expect(new TestJar(() => b.keys).open(cookie)).toBeDefined();
      clock.ms += DAY;
    }
    a.close();
    b.close();
  });
});

describe("keys from a shared secret", () => {
  const secret = randomBytes(32);

  it("let machines open each other's cookies whose clocks differ, and that began at different times", async () => {
    const ring = (ms: number) => CookieKeyRing.open(derivedKeys(secret), { rotation: ROTATION, now: () => ms });
    // Either side of the end of a period.
    const [fast, slow] = [await ring(Date.UTC(2026, 0, 2) + 60_000), await ring(Date.UTC(2026, 0, 2) - 60_000)];
    const cookie = (from: CookieKeyRing) => new TestJar(() => from.keys).cookie(15, new Uint8Array(32), new Uint8Array(32));
    expect(fast.keys.current.id).not.toBe(slow.keys.current.id);
    expect(new TestJar(() => slow.keys).open(cookie(fast))).toBeDefined();
    expect(new TestJar(() => fast.keys).open(cookie(slow))).toBeDefined();
    fast.close();
    slow.close();
  });

  it("differ with secret, period and rotation", async () => {
    const keyAt = async (from: Uint8Array, at: number, rotation = ROTATION) => String(currentGeneration(await derivedKeys(from).generations(at, rotation), at)!.key);
    const keys = [await keyAt(secret, START), await keyAt(secret, START + DAY), await keyAt(randomBytes(32), START), await keyAt(secret, START, { ...ROTATION, periodMs: DAY / 2 })];
    expect(new Set(keys).size).toBe(4);
    expect(await keyAt(secret, START)).toBe(keys[0]);
  });

  it("need a secret of 32 octets", () => {
    expect(() => derivedKeys(randomBytes(31))).toThrow("at least 32");
  });
});

describe("keys in a file", () => {
  const fresh = () => path.join(folder, `${randomBytes(6).toString("hex")}.json`);

  it("outlive the process", async () => {
    const file = fresh();
    const first = await fileKeys(files, file, random).generations(START, ROTATION);
    expect(await fileKeys(files, file, random).generations(START + 1000, ROTATION)).toEqual(first);
  });

  it("can be read by their owner only", async () => {
    const file = fresh();
    await fileKeys(files, file, random).generations(START, ROTATION);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it("that others could read are not used", async () => {
    const file = fresh();
    await fileKeys(files, file, random).generations(START, ROTATION);
    await chmod(file, 0o640);
    await expect(fileKeys(files, file, random).generations(START, ROTATION)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("chmod 600") });
  });

  it("are not put over a file of something else", async () => {
    const file = fresh();
    await writeFile(file, "dear diary", { mode: 0o600 });
    await expect(CookieKeyRing.open(fileKeys(files, file, random))).rejects.toThrow("expected NTS keys");
    expect(await readFile(file, "utf8")).toBe("dear diary");
  });

  it("are all fresh within a refresh once the file was removed: that is how stolen ones are given up", async () => {
    const file = fresh();
    const clock = { ms: START };
    const ring = await CookieKeyRing.open(fileKeys(files, file, random), { now: () => clock.ms });
    const before = ids(ring.keys.all);
    await rm(file);
    clock.ms += 60_000;
    await ring.refresh();
    expect(ids(ring.keys.all).filter((id) => before.includes(id))).toEqual([]);
    ring.close();
  });

  it("of two processes that begin at once are soon the same", async () => {
    const file = fresh();
    const clock = () => START;
    const [a, b] = await Promise.all([CookieKeyRing.open(fileKeys(files, file, random), { now: clock }), CookieKeyRing.open(fileKeys(files, file, random), { now: clock })]);
    await Promise.all([a.refresh(), b.refresh()]);
    expect(ids(a.keys.all)).toEqual(ids(b.keys.all));
    a.close();
    b.close();
  });
});

describe("a ring", () => {
  it("goes on with its keys while the store is out of reach, says so once, and comes back", async () => {
    let broken = false;
    const clock = { ms: START };
    const store = memoryKeys(random);
    const flaky: KeyStore = { generations: (...args) => (broken ? Promise.reject(new Error("gone")) : store.generations(...args)) };
    const onTrouble = vi.fn();
    const ring = await CookieKeyRing.open(flaky, { rotation: ROTATION, now: () => clock.ms, onTrouble });
    clock.ms += DAY - 1000;
    await ring.refresh();
    const { current, all } = ring.keys;
    expect(all.length).toBe(2);
    broken = true;
    clock.ms += 2000;
    await ring.refresh();
    await ring.refresh();
    expect(onTrouble).toHaveBeenCalledTimes(1);
    // The next key was there before it was needed.
    expect(ring.keys.current).toBe(all[1]);
    expect(ring.keys.all).toContain(current);
    broken = false;
    await ring.refresh();
    broken = true;
    await ring.refresh();
    expect(onTrouble).toHaveBeenCalledTimes(2);
    ring.close();
  });

  it("does not open without keys", async () => {
    await expect(CookieKeyRing.open({ generations: () => Promise.reject(new Error("gone")) })).rejects.toThrow("gone");
    await expect(CookieKeyRing.open({ generations: async () => [] })).rejects.toThrow("no keys");
  });

  it("tells of each change once, and overwrites what it no longer keeps", async () => {
    const clock = { ms: START };
    const onChange = vi.fn();
    const ring = await CookieKeyRing.open(fileKeys(files, path.join(folder, "changes.json"), random), { rotation: ROTATION, now: () => clock.ms, onChange });
    const { current } = ring.keys;
    await ring.refresh();
    await ring.refresh();
    expect(onChange).toHaveBeenCalledTimes(1);
    for (let hour = 0; hour < 4 * 24; hour++) {
      clock.ms += DAY / 24;
      await ring.refresh();
    }
    expect(current.key.every((octet) => octet === 0)).toBe(true);
    const { current: last } = ring.keys;
    expect(last.key.some((octet) => octet !== 0)).toBe(true);
    ring.close();
    expect(last.key.every((octet) => octet === 0)).toBe(true);
    expect(() => ring.keys).toThrow("closed");
  });

  it("looks into its store by itself, often enough for a generation's lead", async () => {
    vi.useFakeTimers({ now: START });
    try {
      const store = memoryKeys(random);
      const looks = vi.spyOn(store, "generations");
      const ring = await CookieKeyRing.open(store, { rotation: { periodMs: 60_000, keep: 2, leadMs: 6000 } });
      await vi.advanceTimersByTimeAsync(60_000);
      expect(looks.mock.calls.length).toBeGreaterThanOrEqual(30);
      expect(ring.keys.all.length).toBe(2);
      ring.close();
      const { length } = looks.mock.calls;
      await vi.advanceTimersByTimeAsync(60_000);
      expect(looks.mock.calls.length).toBe(length);
    } finally {
      vi.useRealTimers();
    }
  });
});
