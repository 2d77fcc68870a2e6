// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for pages that follow servers (assembly/follow.ts) against the whole one: the same face over both
 * (hosts/common/client/discipline.ts) says the same, bit for bit.
 *
 * Odd packets by the thousand; then a day of a clock that follows servers with NTS and without, one of which lies, one moves to
 * another address, one is silent for hours and one sends kisses, with forged replies and steps of the clock in between.
 */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { DisciplineCore } from "../../hosts/common/client/discipline.ts";
import { Core, coreModule, replaceCoreModule } from "../../hosts/common/core/core.ts";
import { concat, seededRandom } from "../support/core.ts";
import { KEY_LENGTHS, ntsReply } from "./nts-reply.ts";
import { faceSession, wholeFace } from "./page-face.ts";

const whole = coreModule();
const small = new WebAssembly.Module(readFileSync("dist/browser/follow.wasm"));
afterEach(() => replaceCoreModule(whole));

const SECOND = 1_000_000_000n;
const START = 1_790_000_000n * SECOND;
const UNIX_EPOCH = 2_208_988_800n;
const ROUNDS = 1500;
/** One with each AEAD, and four that nobody vouches for: the last one lies. */
const SOURCES = 8;
const [MOVES, SILENT, KISSES, LIES] = [4, 1, 5, 7];
const HEADER = 48;
const IDENTIFIER_AT = HEADER + 4;

describe("the core for pages that follow servers", () => {
  test("the same packets give the same bits", async () => {
    const said = await faceSession(wholeFace(new Core(small)));
    expect(said).toEqual(await faceSession(wholeFace(new Core(whole))));
    expect(said.used).toBeGreaterThan(20);
  });

  test("a day of servers, with NTS and without, is steered alike", () => {
    const [said, other] = [new Day(small).run(), new Day(whole).run()];
    expect(said).toEqual(other);
    const { system, sources } = said.end;
    // Else the comparison would say nothing.
    expect(system.survivors).toBeGreaterThanOrEqual(5);
    expect(sources.map(({ authentication }) => authentication)).toEqual(["nts", "nts", "nts", "nts", "none", "none", "none", "none"]);
    expect(sources.every(({ used }) => used > 20)).toBe(true);
    expect(sources[LIES]!.selection).toBe("falseticker");
    expect(sources[KISSES]!.pollFloor).toBeGreaterThan(6);
    expect(sources.slice(0, 4).every(({ ignored, nts }) => ignored > 0 && nts!.cookies === 8)).toBe(true);
  });
});

interface State {
  readonly system: ReturnType<DisciplineCore["system"]>;
  readonly sources: ReturnType<DisciplineCore["source"]>[];
}

/** A day on one build. All that it says is kept. */
class Day {
  readonly #core: DisciplineCore;
  readonly #random = seededRandom(20361118);
  readonly #said: unknown[] = [];
  readonly #due = Array.from({ length: SOURCES }, (_, index) => BigInt(10 + index) * SECOND);
  readonly #keys = KEY_LENGTHS.map(([aead, length]) => ({ aead, c2s: this.#octets(length), s2c: this.#octets(length) }));
  /** By how much the clock is ahead of the truth, ns. */
  #ahead = -5n * SECOND;

  constructor(module: WebAssembly.Module) {
    replaceCoreModule(module);
    const core = (this.#core = new DisciplineCore());
    core.reset({ algorithm: "estimator", frequency: 3e-6, skew: 1e-6, precision: 1e-6 });
    core.limits({ slew: 0.1, frequency: 500e-6, minPoll: 6, maxPoll: 10 });
    core.stepPolicy(0.1, 3);
    core.stepLimits(1000, 0, 0);
    core.identify((bytes) => bytes.fill(0x5a));
    for (let index = 0; index < SOURCES; index++) {
      core.open(index, { version: index === LIES ? 3 : 4, minPoll: 6, maxPoll: 10 });
      core.address(index, index % 2 ? `192.0.2.${index}` : `2001:db8::${index}`);
    }
    this.#keys.forEach((_, index) => {
      core.useNts(index, (bytes) => (bytes.set(this.#octets(bytes.length)), bytes));
      core.useVersion(index, 4, false);
    });
  }

  run(): { said: unknown[]; end: State } {
    for (let round = 0; round < ROUNDS; round++) this.#round(round);
    const now = this.#due.reduce((last, one) => (one > last ? one : last));
    const end = this.#state(now);
    this.#core.setAside(2);
    this.#core.close(6);
    this.#said.push(this.#state(now), this.#core.referenceIds(), this.#core.awaiting(3));
    return { said: this.#said, end };
  }

  #state(now: bigint): State {
    return { system: this.#core.system(now), sources: Array.from({ length: SOURCES }, (_, index) => this.#core.source(index)) };
  }

  #octets(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.#random() & 0xff);
  }

  #time(now: bigint): bigint {
    return START + now + this.#ahead;
  }

  #round(round: number): void {
    const core = this.#core;
    const index = this.#due.indexOf(this.#due.reduce((least, one) => (one < least ? one : least)));
    const now = this.#due[index]!;
    this.#said.push(core.watchClock(this.#time(now), now));
    // Somebody sets the clock: back by a little, and ahead by an hour as after sleep.
    if (round === 500) this.#ahead -= 2n * SECOND;
    if (round === 900) this.#ahead += 3600n * SECOND;
    if (round === 700) core.address(MOVES, "192.0.2.77");
    const asked = core.timer(index, now, BigInt(this.#random()) << 20n);
    this.#said.push(asked);
    if (asked.establish) {
      core.ntsKeys(index, { ...this.#keys[index]!, cookies: Array.from({ length: 8 }, () => this.#octets(96)) });
      this.#due[index] = now + SECOND;
      return;
    }
    this.#due[index] = asked.timerNs!;
    if (asked.send) this.#answer(index, asked.send, { now, round });
    this.#said.push(core.steering(), core.system(now), core.source((index + 1) % SOURCES));
  }

  #answer(index: number, request: Uint8Array, { now, round }: { now: bigint; round: number }): void {
    const core = this.#core;
    const [out, back] = [BigInt(this.#random() >>> 10), BigInt(this.#random() >>> 10)];
    core.sent(index, this.#time(now));
    if (index === SILENT && round > 200 && round < 450) return;
    const kiss = index === KISSES && round > 300 && round < 320;
    const reply = this.#reply(index, request, START + now + out + (index === LIES ? SECOND / 2n : 0n), kiss);
    const came = now + out + back;
    // Now and then somebody forges one first: of another origin, or with an octet changed that is vouched for.
    if (round % 5 === 0) this.#take(index, reply.map((octet, at) => (at === (index < KEY_LENGTHS.length ? 60 : 25) ? octet ^ 1 : octet)), came);
    this.#take(index, reply, came + 1n);
    const { untilNs } = core.steering();
    if (untilNs === undefined || round % 3 !== 0) return;
    core.steeringTimer(untilNs);
    this.#said.push(core.steering());
  }

  #take(index: number, reply: Uint8Array, came: bigint): void {
    const core = this.#core;
    const actions = core.reply(index, reply, { time: this.#time(came), monotonic: came }, came + 1000n);
    this.#said.push(actions);
    if (actions.timerNs !== undefined) this.#due[index] = actions.timerNs;
    const { stepNs } = core.steering();
    if (!actions.steer || stepNs === 0n) return;
    this.#ahead += stepNs;
    core.drop();
    this.#said.push(core.watchClock(this.#time(came), came));
  }

  #reply(index: number, request: Uint8Array, timeNs: bigint, kiss: boolean): Uint8Array {
    const header = new Uint8Array(HEADER);
    const view = new DataView(header.buffer);
    header.set([(request[0]! & 0x38) | 4, kiss ? 0 : 1 + (index % 3), 7, 0xea]);
    header.set([0, 0, 0, 16, 0, 0, 0, 32, ...(kiss ? [0x52, 0x41, 0x54, 0x45] : [0x47, 0x50, 0x53, 0])], 4);
    header.set(request.subarray(40, HEADER), 24);
    for (const at of [16, 32, 40]) {
      view.setUint32(at, Number((timeNs / SECOND + UNIX_EPOCH) & 0xffffffffn));
      view.setUint32(at + 4, Number(((timeNs % SECOND) << 32n) / SECOND));
    }
    const keys = this.#keys[index];
    if (!keys) return concat(header);
    return ntsReply({ ...keys, header, random: this.#octets(16), identifier: request.slice(IDENTIFIER_AT, IDENTIFIER_AT + 32), cookie: this.#octets(96) });
  }
}
