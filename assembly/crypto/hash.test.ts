// SPDX-License-Identifier: MIT OR Apache-2.0
/** SHA-1 and SHA-256 against FIPS 180's own vectors and Node's, streamed at every split of nought to three blocks. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Bench, hex, seededRandom } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, scratch } = bench;
const OUT = scratch + 4000;
const random = seededRandom(180);
const noise = Uint8Array.from({ length: 3900 }, () => random() & 0xff);

const HASHES = [
  { name: "SHA-1", node: "sha1", length: 20, start: exports.sha1Start, update: exports.sha1Update, finish: exports.sha1Finish },
  { name: "SHA-256", node: "sha256", length: 32, start: exports.sha256Start, update: exports.sha256Update, finish: exports.sha256Finish },
] as const;

describe.each(HASHES)("$name", ({ node, length: digestLength, start, update, finish }) => {
  const oracle = (data: Uint8Array) => createHash(node).update(data).digest("hex");

  function digest(data: Uint8Array, ...parts: number[]): string {
    core.bytes.set(data, scratch);
    start();
    let done = 0;
    for (const part of [...parts, data.length - parts.reduce((sum, part) => sum + part, 0)]) {
      update(scratch + done, part);
      done += part;
    }
    finish(OUT);
    return hex(bench.octets(digestLength, OUT));
  }

  it("of FIPS 180's messages is what it says", () => {
    const says = {
      sha1: ["a9993e364706816aba3e25717850c26c9cd0d89d", "84983e441c3bd26ebaae4aa1f95129e5e54670f1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"],
      sha256: [
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      ],
    }[node];
    const messages = ["abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", ""];
    expect(messages.map((text) => digest(new TextEncoder().encode(text)))).toEqual(says);
  });

  it("is right in two parts, for every length up to three blocks and every split", () => {
    for (let length = 0; length <= 3 * 64 + 1; length++) {
      const data = noise.subarray(0, length);
      const right = oracle(data);
      const wrong = Array.from({ length: length + 1 }, (_, split) => split).filter((split) => digest(data, split) !== right);
      expect(wrong, `splits of ${length} octets`).toEqual([]);
    }
  });

  it("is right octet by octet", () => {
    const data = noise.subarray(0, 300);
    expect(digest(data, ...data.map(() => 1))).toBe(oracle(data));
  });

  it("keeps nothing of the digest before, finished or not", () => {
    start();
    update(scratch, 77);
    for (let again = 0; again < 2; again++) expect(digest(noise.subarray(0, 60))).toBe(oracle(noise.subarray(0, 60)));
  });
});
