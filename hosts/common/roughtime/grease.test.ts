// SPDX-License-Identifier: MIT OR Apache-2.0
/** Grease of every kind does what RFC 10049 §7 says, and never the one thing it forbids. @module */

import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../tests/support/core.ts";
import { BatchCore } from "./batch.ts";
import { sign } from "./ed25519.ts";
import { GREASES, Greaser, greased, putTogether, takeApart, type Grease } from "./grease.ts";
import { delegate, generateKey } from "./keys.ts";
import { makeRequest } from "./request.ts";
import { verifyResponse } from "./response.ts";

const random = seededRandom(7);
const host = { random: (bytes: Uint8Array<ArrayBuffer>) => bytes.map(() => random() & 255) };
const key = generateKey(host);
const delegation = delegate(host, key, 1000n, 2000n);
const request = makeRequest(key.publicKey, new Uint8Array(32));
let answer!: Uint8Array;
await new BatchCore(key.publicKey).answer([{ data: request, least: 0, reply: (octets) => (answer = octets) }], {
  midpoint: 1500n, radius: 3, certificate: delegation.certificate, sign: (context, value) => sign(delegation.seed, context, value),
});
const judged = (packet: Uint8Array) => verifyResponse(packet, request, key.publicKey);

describe("an answer", () => {
  it("taken apart and put together is the same", () => {
    expect(putTogether(takeApart(answer.subarray(12)))).toEqual(answer.slice(12));
    expect(judged(answer).answer?.midpoint).toBe(1500n);
  });

  it.each<[Grease, RegExp]>([
    ["missing", /missing/],
    ["version", /not offered/],
    ["signature", /not signed|MINT/],
  ])("greased by %s is refused, whatever chance says", (kind, why) => {
    for (let i = 0; i < 100; i++) expect(judged(greased(answer, kind, host.random(new Uint8Array(16)))).why).toMatch(why);
  });

  it("with a tag that nobody knows is taken, and says the same", () => {
    for (let i = 0; i < 20; i++) {
      const packet = greased(answer, "undefined", host.random(new Uint8Array(16)));
      expect(packet.length).toBeGreaterThan(answer.length);
      expect(judged(packet).answer).toEqual(judged(answer).answer);
    }
  });

  it("greased by signature tells a wrong time, and is never valid", () => {
    const mention = (packet: Uint8Array) => takeApart(takeApart(packet.subarray(12)).get(0x50455253)!).get(0x5044494d)!;
    for (let i = 0; i < 50; i++) expect(mention(greased(answer, "signature", host.random(new Uint8Array(16))))).not.toEqual(mention(answer));
  });
});

describe("a greaser", () => {
  it("greases the fraction it was told, of all kinds alike", () => {
    const greaser = new Greaser(host, 0.25);
    const kinds = Array.from({ length: 8000 }, () => greaser.pass(answer, 2000).grease).filter((kind) => kind !== undefined);
    expect(kinds.length / 8000).toBeGreaterThan(0.22);
    expect(kinds.length / 8000).toBeLessThan(0.28);
    for (const kind of GREASES) expect(kinds.filter((one) => one === kind).length / kinds.length).toBeGreaterThan(0.2);
  });

  it("of nothing leaves all as it is, and none makes an answer longer than its request", () => {
    expect(new Greaser(host, 0).pass(answer, 2000)).toEqual({ packet: answer });
    const tight = new Greaser(host, 0.5);
    for (let i = 0; i < 500; i++) expect(tight.pass(answer, answer.length).packet.length).toBeLessThanOrEqual(answer.length);
  });
});
