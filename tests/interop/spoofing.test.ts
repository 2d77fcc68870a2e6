// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What an attacker, or a broken box on the path, can put before our client while a real chronyd answers: the true answer
 * wins, and without it there is no answer. Each forgery has its twin that is alone and must not be believed.
 */

import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { query, type QueryOptions } from "../../hosts/node/index.ts";
import { escapement, titled, whySkipped } from "../support/peers.ts";
import { openRelay, type Delivery, type Exchange } from "../support/relay.ts";
import { chronyServer, type Chronyd } from "./chrony.ts";
import { failure } from "./ask.ts";
import { AT, appended, edited, field, kiss, mac, shifted, withLeap, withWrongOrigin } from "./packet.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);
/** How far the forgeries are from the truth, s. */
const LIE = 1000;
/** What is waited for where nothing is to come, s; more of it only where a busy machine has not even brought the forgery. */
const NOTHING_COMES = [0.3, 3, 30];
const FLOOD = 1000;

let server: Chronyd;
beforeAll(async () => {
  if (!skipped) server = await chronyServer();
});
afterAll(() => server?.[Symbol.asyncDispose]());

type Attack = (exchange: Exchange) => Iterable<Delivery>;

function relay(onReply: Attack) {
  return openRelay({ server, onReply });
}

/** Ask through an attack. */
async function under(onReply: Attack, options: QueryOptions = {}) {
  await using path = await relay(onReply);
  return await query(path.source, options);
}

/** The failure that a query ends with when there is nothing but the attack, once that `came`. */
async function aloneUnder(onReply: Attack, came: (message: string) => boolean = () => true) {
  await using path = await relay(onReply);
  let told = { code: "none", message: "" };
  for (const timeout of NOTHING_COMES) {
    told = await failure(query(path.source, { timeout }));
    if (told.code !== "TIMEOUT" || (path.held.length > 0 && came(told.message))) break;
  }
  return told;
}

/** Datagrams that are no answer to the request at hand, and the test that says so; none when the socket never hears them. */
const FORGERIES: readonly [what: string, forge: (exchange: Exchange) => Delivery, test: string | undefined][] = [
  ["a reply whose origin differs in one bit", ({ reply }) => ({ data: withWrongOrigin(shifted(reply, LIE)) }), "test2"],
  ["a reply with an origin of zero", ({ reply }) => ({ data: edited(shifted(reply, LIE), (copy) => copy.fill(0, AT.origin, AT.receive)) }), "test2"],
  ["a reply with the right origin from another port", ({ reply }) => ({ data: shifted(reply, LIE), from: "stranger" }), undefined],
  ["a kiss DENY with a wrong origin", ({ reply }) => ({ data: withWrongOrigin(kiss(reply, "DENY")) }), "test2"],
  ["a kiss RATE with a wrong origin", ({ reply }) => ({ data: withWrongOrigin(kiss(reply, "RATE")) }), "test2"],
  ["a kiss DENY with the right origin from another port", ({ reply }) => ({ data: kiss(reply, "DENY"), from: "stranger" }), undefined],
  ["the request itself, reflected", ({ request }) => ({ data: request }), "testE"],
  ["a reply in broadcast mode", ({ reply }) => ({ data: edited(shifted(reply, LIE), (copy) => copy.writeUInt8((copy.readUInt8(0) & 0xf8) | 5)) }), "testE"],
  ["a reply of version 5", ({ reply }) => ({ data: edited(shifted(reply, LIE), (copy) => copy.writeUInt8((copy.readUInt8(0) & 0xc7) | (5 << 3))) }), "testE"],
  ["a reply that is cut one octet short", ({ reply }) => ({ data: shifted(reply, LIE).subarray(0, 47) }), "testD"],
  ["an empty datagram", () => ({ data: new Uint8Array(0) }), "testD"],
  ["a reply with eight octets that are neither field nor MAC", ({ reply }) => ({ data: appended(shifted(reply, LIE), randomBytes(8)) }), "testD"],
  ["a reply with a field that claims to be longer than the packet", ({ reply }) => ({ data: appended(shifted(reply, LIE), edited(field(0x0104, 32), (copy) => copy.writeUInt16BE(64, 2))) }), "testD"],
  ["48 octets of zeros", () => ({ data: new Uint8Array(48) }), "test2"],
];

describe.skipIf(skipped)(titled("before the true answer", skipped), () => {
  it.each(FORGERIES)("%s changes nothing", async (_, forge) => {
    const sample = await under((exchange) => [forge(exchange), { data: exchange.reply }]);
    expect(sample).toMatchObject({ usable: true, stratum: 3, kiss: undefined });
    expect(Math.abs(sample.offset)).toBeLessThan(1);
  });

  it("a flood of 1000 datagrams of junk changes nothing", async () => {
    const junk = ({ reply }: Exchange) => Array.from({ length: FLOOD }, (_, i): Delivery => (i % 2 === 0 ? { data: randomBytes(i % 97) } : { data: withWrongOrigin(shifted(reply, i)) }));
    const sample = await under((exchange) => [...junk(exchange), { data: exchange.reply }]);
    expect(sample).toMatchObject({ usable: true, stratum: 3 });
    expect(Math.abs(sample.offset)).toBeLessThan(1);
  });

  it("each of its truncations changes nothing", async () => {
    const cut = ({ reply }: Exchange) => Array.from({ length: 48 }, (_, length) => ({ data: shifted(reply, LIE).subarray(0, length) }));
    const sample = await under((exchange) => [...cut(exchange), { data: exchange.reply }]);
    expect(sample.usable).toBe(true);
    expect(Math.abs(sample.offset)).toBeLessThan(1);
  });

  it("the reply to an earlier request changes nothing", async () => {
    let earlier: Buffer | undefined;
    await using path = await relay(({ reply }) => {
      const replayed = earlier;
      earlier = shifted(reply, LIE);
      return replayed ? [{ data: replayed }, { data: reply }] : [{ data: reply }];
    });
    await query(path.source);
    const sample = await query(path.source);
    expect(sample.usable).toBe(true);
    expect(Math.abs(sample.offset)).toBeLessThan(1);
  });
});

describe.skipIf(skipped)(titled("without the true answer", skipped), () => {
  it.each(FORGERIES)("%s is no answer", async (_, forge, test) => {
    const { code, message } = await aloneUnder((exchange) => [forge(exchange)], (said) => !test || said.includes("passed over"));
    expect(code, message).toBe("TIMEOUT");
    if (test) expect(message, "the error tells what was passed over").toMatch(new RegExp(`passed over 1 × [test\\w ]*${test}`));
    else expect(message, "the socket hears nobody else").not.toContain("passed over");
  });

  it("a flood of 1000 datagrams of junk is no answer", async () => {
    const { code, message } = await aloneUnder(() => Array.from({ length: FLOOD }, () => ({ data: randomBytes(48) })));
    expect(code, message).toBe("TIMEOUT");
  });
});

describe.skipIf(skipped)(titled("after the true answer", skipped), () => {
  it("its duplicates and a late lie change neither this answer nor the next", async () => {
    await using path = await relay(({ reply }) => [{ data: reply }, { data: reply }, { data: reply }, { data: shifted(reply, LIE) }]);
    for (let i = 0; i < 4; i++) {
      const sample = await query(path.source);
      expect(sample.usable).toBe(true);
      expect(Math.abs(sample.offset)).toBeLessThan(1);
    }
    expect(path.requests).toHaveLength(4);
  });
});

describe.skipIf(skipped)(titled("behind the header of the true answer", skipped), () => {
  it.each([
    ["a MAC of 16 octets of digest", 4, () => [mac(16)]],
    ["a MAC of 20 octets of digest", 4, () => [mac(20)]],
    ["a MAC, in NTPv3", 3, () => [mac(16)]],
    ["an unknown extension field", 4, () => [field(0x7777, 28)]],
    ["a long unknown extension field", 4, () => [field(0x7777, 400)]],
    ["two unknown extension fields", 4, () => [field(0x7777, 16), field(0x8888, 32)]],
    ["an unknown extension field and a MAC", 4, () => [field(0x7777, 16), mac(20)]],
    ["something else of chrony's field type", 4, () => [field(0xf323, 40)]],
  ] as const)("%s does no harm", async (_, version, parts) => {
    const sample = await under(({ reply }) => [{ data: appended(reply, ...parts()) }], { version });
    expect(sample).toMatchObject({ usable: true, authenticated: false, version });
    expect(Math.abs(sample.offset)).toBeLessThan(1);
  });

  it("a crypto-NAK makes it unfit by test5", async () => {
    const sample = await under(({ reply }) => [{ data: appended(reply, new Uint8Array(4)) }]);
    expect(sample.usable).toBe(false);
    expect(sample.problems().map(({ test }) => test)).toEqual(["test5"]);
  });
});

describe.skipIf(skipped)(titled("an answer that must not be taken for time", skipped), () => {
  it.each([
    ["leap 3", (reply: Buffer) => withLeap(reply, 3), ["test6"]],
    ["stratum 0 without a code", (reply: Buffer) => edited(reply, (copy) => copy.fill(0, AT.stratum, 2).fill(0, AT.refid, AT.reference)), ["test6"]],
    ["stratum 16", (reply: Buffer) => edited(reply, (copy) => copy.writeUInt8(16, AT.stratum)), ["test6"]],
    ["stratum 255", (reply: Buffer) => edited(reply, (copy) => copy.writeUInt8(255, AT.stratum)), ["test6"]],
    ["a transmit timestamp of zero", (reply: Buffer) => edited(reply, (copy) => copy.fill(0, AT.transmit, 48)), ["test3"]],
    ["a receive timestamp of zero", (reply: Buffer) => edited(reply, (copy) => copy.fill(0, AT.receive, AT.transmit)), ["test3"]],
    ["a kiss DENY", (reply: Buffer) => kiss(reply, "DENY"), ["test4", "test6", "testA"]],
    ["a kiss RATE", (reply: Buffer) => kiss(reply, "RATE"), ["test6", "testA"]],
    ["a root delay of 40 s", (reply: Buffer) => edited(reply, (copy) => copy.writeUInt32BE(40 << 16, AT.rootDelay)), ["test7", "testB"]],
    ["a reference time after its transmit time", (reply: Buffer) => edited(reply, (copy) => copy.writeUInt32BE(copy.readUInt32BE(AT.transmit) + 1, AT.reference)), ["test7"]],
    ["a minute spent in the server between two of our milliseconds", (reply: Buffer) => edited(reply, (copy) => copy.writeUInt32BE(copy.readUInt32BE(AT.transmit) + 60, AT.transmit)), ["testC"]],
  ] as const)("%s is told by its test", async (_, forge, tests) => {
    const sample = await under(({ reply }) => [{ data: forge(reply) }]);
    expect(sample.usable).toBe(false);
    expect(sample.problems().map(({ test }) => test)).toEqual(expect.arrayContaining([...tests]));
  });

  it.each(["DENY", "RATE", "RSTR"])("a kiss %s with the right origin ends the wait at once, is named, and is asked no more", async (code) => {
    await using path = await relay(({ reply }) => [{ data: kiss(reply, code) }]);
    const sample = await query(path.source, { timeout: 60 });
    expect(sample).toMatchObject({ usable: false, kiss: code, refid: code, stratum: 0 });
    expect(path.requests).toHaveLength(1);
  });

  it.each([["leap 3", (reply: Buffer) => withLeap(reply, 3)], ["a kiss RATE", (reply: Buffer) => kiss(reply, "RATE")]] as const)("%s ends the command with 1 and no consensus", async (_, forge) => {
    await using path = await relay(({ reply }) => [{ data: forge(reply) }]);
    const { status, stdout } = await escapement(["query", path.source, "--json"]);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ consensus: null, samples: [{ verdict: "unfit" }] });
  });
});
