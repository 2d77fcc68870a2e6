// SPDX-License-Identifier: MIT OR Apache-2.0
/** Batches of 1 to 64 requests, of both versions mixed: every answer is valid, and no longer than its request. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BATCH, BatchCore, type Pending } from "../../hosts/common/roughtime/batch.ts";
import { sign } from "../../hosts/common/roughtime/ed25519.ts";
import { delegate, generateKey } from "../../hosts/common/roughtime/keys.ts";
import { makeRequest } from "../../hosts/common/roughtime/request.ts";
import { verifyResponse } from "../../hosts/common/roughtime/response.ts";
import { framed, message, u32 } from "../../tests/support/roughtime.ts";

const host = { random: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes) };
const key = generateKey(host);
const delegation = delegate(host, key, 1000n, 2000n);
const core = new BatchCore(key.publicKey);
const reading = (midpoint = 1500n) => ({ midpoint, radius: 3, certificate: delegation.certificate, sign: (context: Uint8Array, value: Uint8Array) => sign(delegation.seed, context, value) });
const nonce = () => host.random(new Uint8Array(32));
const DRAFT = 0x8000000c;

type Kind = "1" | "both" | "draft" | "untyped" | "stranger" | "junk" | "short";

function requestOf(kind: Kind): Uint8Array {
  if (kind === "junk") return nonce();
  if (kind === "stranger") return makeRequest(nonce(), nonce());
  // As short as a request can be: no answer fits into it.
  if (kind === "short") return framed(message({ VER: u32(1), NONC: nonce(), TYPE: u32(0) }));
  if (kind === "untyped") return framed(message({ VER: u32(DRAFT), NONC: nonce(), ZZZZ: new Uint8Array(980) }));
  return makeRequest(key.publicKey, nonce(), kind === "1" ? [1] : kind === "draft" ? [DRAFT] : [1, DRAFT]);
}

async function answers(requests: readonly Uint8Array[], midpoint?: bigint) {
  const replies: (Uint8Array | undefined)[] = requests.map(() => undefined);
  const batch = requests.map((data, i): Pending => ({ data, least: 0, reply: (answer) => (replies[i] = answer) }));
  return { replies, ...(await core.answer(batch, reading(midpoint))) };
}

const ANSWERED: Record<Kind, number | undefined> = { "1": 1, both: 1, draft: DRAFT, untyped: DRAFT, stranger: undefined, junk: undefined, short: undefined };

describe("a batch", () => {
  it("of every size has valid answers, a path as high as needed, and one signature", async () => {
    for (let size = 1; size <= BATCH; size++) {
      const requests = Array.from({ length: size }, () => requestOf("both"));
      const { replies, answered, signatures } = await answers(requests);
      expect([answered, signatures]).toEqual([size, 1]);
      const told = replies.map((reply, i) => verifyResponse(reply!, requests[i]!, key.publicKey));
      expect(told.filter(({ why }) => why !== undefined)).toEqual([]);
      expect(told.map(({ answer }) => answer!.index)).toEqual(requests.map((_, i) => i));
      expect(new Set(told.map(({ answer }) => answer!.height))).toEqual(new Set([Math.ceil(Math.log2(size))]));
    }
  }, 120_000);

  it("of any mixture answers who has a right to it, in the right version, with no more than was asked", async () => {
    const kinds = fc.array(fc.constantFrom<Kind>("1", "both", "draft", "untyped", "stranger", "junk", "short"), { minLength: 1, maxLength: BATCH });
    await fc.assert(fc.asyncProperty(kinds, async (kinds) => {
      const requests = kinds.map(requestOf);
      const { replies } = await answers(requests);
      kinds.forEach((kind, i) => {
        const reply = replies[i];
        if (reply === undefined || ANSWERED[kind] === undefined) return expect([kind, reply]).toEqual([kind, ANSWERED[kind]]);
        expect(verifyResponse(reply, requests[i]!, key.publicKey)).toMatchObject({ answer: { version: ANSWERED[kind] } });
        expect(reply.length).toBeLessThanOrEqual(requests[i]!.length);
      });
    }), { numRuns: 20 });
  }, 120_000);

  it("proves nothing to another request of the same batch", async () => {
    const requests = [requestOf("1"), requestOf("1")];
    const { replies } = await answers(requests);
    expect(verifyResponse(replies[0]!, requests[1]!, key.publicKey).why).toMatch(/nonce/);
  });

  it("whose signature fails leaves nothing behind for the next", async () => {
    const batch = Array.from({ length: 9 }, (): Pending => ({ data: requestOf("1"), least: 0, reply: () => expect.unreachable() }));
    const failing = { ...reading(), sign: () => Promise.reject(new Error("no")) };
    await expect(core.answer(batch, failing)).rejects.toThrow("no");
    const one = [requestOf("1")];
    const { replies } = await answers(one);
    expect(verifyResponse(replies[0]!, one[0]!, key.publicKey)).toMatchObject({ answer: { height: 0 } });
  });

  it("answers a request of exactly its answer's length, and not one of four octets less", async () => {
    const sized = (zeros: number) => framed(message({ VER: u32(1), NONC: nonce(), TYPE: u32(0), ZZZZ: new Uint8Array(zeros) }));
    const [{ replies: [reply] }] = [await answers([sized(900)])];
    const bare = sized(0).length;
    const fitting = sized(reply!.length - bare);
    expect(fitting.length).toBe(reply!.length);
    expect((await answers([fitting])).answered).toBe(1);
    expect((await answers([sized(reply!.length - bare - 4)])).answered).toBe(0);
  });
});
