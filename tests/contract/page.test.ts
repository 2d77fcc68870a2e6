// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for pages (assembly/page.ts) against the whole one: what they share says the same, bit for bit.
 *
 * One session of many odd packets is judged by both; then a day of a clock that follows four sources, one of them lying, is
 * run in both at once, and every action and all of the steering is compared.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { seededRandom } from "../support/core.ts";
import { pageSessionHash } from "./page-session.ts";

const page = () => new Core(new WebAssembly.Module(readFileSync("dist/browser/page.wasm")));

describe("the core for pages", () => {
  test("imports nothing and fits a page", () => {
    expect(WebAssembly.Module.imports(new WebAssembly.Module(readFileSync("dist/browser/page.wasm")))).toEqual([]);
    expect(readFileSync("dist/browser/page.wasm").length).toBeLessThan(20_000);
  });

  test("exports nothing that the whole core does not", () => {
    const whole = new Set(WebAssembly.Module.exports(new WebAssembly.Module(readFileSync("dist/core.wasm"))).map(({ name }) => name));
    const own = WebAssembly.Module.exports(new WebAssembly.Module(readFileSync("dist/browser/page.wasm"))).map(({ name }) => name);
    expect(own.filter((name) => !whole.has(name))).toEqual([]);
  });

  test("the same packets give the same bits", async () => {
    expect(await pageSessionHash(page())).toBe(await pageSessionHash(new Core()));
  });

  test("without cryptography it neither sends nor believes what needs it", () => {
    for (const auth of [1, 2]) {
      const core = page();
      const exchange = core.constant("EXCHANGE");
      core.bytes[exchange] = auth;
      core.bytes[exchange + 1] = 4;
      core.bytes[exchange + new Core().constant("EXCHANGE_MODE")] = 3;
      core.setU64(exchange + new Core().constant("EXCHANGE_ORIGIN"), 7n);
      expect(core.exports.requestWrite(core.constant("SLOTS"), exchange)).toBe(0);
      // A reply that would be perfect without authentication.
      const slot = core.constant("SLOTS");
      core.bytes.fill(0, slot, slot + 48);
      core.bytes.set([0x24, 1], slot);
      core.view.setBigUint64(slot + 24, 7n);
      core.view.setBigUint64(slot + 32, 5n);
      core.view.setBigUint64(slot + 40, 6n);
      expect(core.exports.replyRead(slot, 48, exchange, core.constant("SAMPLE"))).toBe(0);
      core.bytes[exchange] = 0;
      expect(core.exports.replyRead(slot, 48, exchange, core.constant("SAMPLE"))).toBe(1);
    }
  });

  test("a day of four sources, one of them lying, is steered alike", () => {
    expect(day(page())).toEqual(day(new Core()));
  });
});

const SOURCES = 4;
/** 32.32 s. */
const SECOND = 1n << 32n;
const START = 3_900_000_000n * SECOND;

/** What the core asked for over a day, as bits. */
function day(core: Core): unknown[] {
  const { exports, view } = core;
  const random = seededRandom(7);
  const said: unknown[] = [];
  exports.disciplineReset(0, 0);
  exports.disciplineLimits(0.1, 500e-6, 6, 10);
  exports.disciplineStepPolicy(0.1, 3);
  exports.associationPrecision(exports.intervalFromSeconds(1e-4));
  const due = Array.from({ length: SOURCES }, () => 0n);
  for (let index = 0; index < SOURCES; index++) exports.associationOpen(index, 4, 6, 10);
  let offset = 0;
  for (let round = 0; round < 2000; round++) {
    const index = due.indexOf(due.reduce((least, one) => (one < least ? one : least)));
    const now = due[index]! + 10n * SECOND;
    const steering = exports.steeringOut();
    offset += view.getFloat64(steering + core.constant("STEERING_RATE"), true);
    const actions = exports.associationTimer(index, now, BigInt(random()) << 20n);
    const slot = core.constant("SLOTS");
    const origin = view.getBigUint64(slot + 40);
    due[index] = core.u64(exports.actionOut() + core.constant("ACTION_TIMER"));
    said.push([actions, origin, due[index]]);
    const away = BigInt(random() >>> 6);
    const back = BigInt(random() >>> 6);
    const lie = index === 3 ? SECOND / 2n : 0n;
    exports.associationSent(index, START + now);
    view.setUint32(slot, 0x24010000 | 0xea);
    view.setUint32(slot + 4, 16);
    view.setUint32(slot + 8, 32);
    view.setUint32(slot + 12, 0x47505300);
    view.setBigUint64(slot + 16, START);
    view.setBigUint64(slot + 24, origin);
    view.setBigUint64(slot + 32, START + now + away + lie);
    view.setBigUint64(slot + 40, START + now + away + lie + 1000n);
    exports.associationCame(index, START + now + away + back + 2000n, now + away + back);
    const answered = exports.associationReply(index, 48, now + away + back);
    if (answered & 2) due[index] = core.u64(exports.actionOut() + core.constant("ACTION_TIMER"));
    exports.systemUpdate(now + away + back);
    said.push([answered, ...["RATE", "FREQUENCY", "REMAINING", "UNTIL", "STEP"].map((name) => view.getBigUint64(steering + core.constant(`STEERING_${name}`), true))]);
    said.push(["PEER", "STRATUM", "LEAP", "SURVIVORS"].map((name) => view.getInt32(exports.systemOut() + core.constant(`SYSTEM_${name}`), true)), view.getBigUint64(exports.systemOut() + core.constant("SYSTEM_BOUND"), true));
  }
  // Else the comparison would say nothing.
  const survivors = said.at(-2) as number[];
  if (!(survivors[0]! >= 0 && survivors[3]! === SOURCES - 1)) throw new Error(`the day did not come to an agreement: ${survivors}`);
  return said;
}
