// SPDX-License-Identifier: MIT OR Apache-2.0
/** SHA-512 against the examples of FIPS 180-2, Node's and noble's, streamed at every split of nought to three blocks. */
import { createHash } from "node:crypto";
import { sha512 as nobleSha512 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bench, hex, seededRandom } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, scratch } = bench;
const OUT = scratch + 4000;

/** The digest of `data` handed over in parts of the given lengths and then the rest. */
function sha512(data: Uint8Array, ...parts: number[]): string {
  core.bytes.set(data, scratch);
  exports.sha512Start();
  let done = 0;
  for (const part of [...parts, data.length - parts.reduce((sum, part) => sum + part, 0)]) {
    exports.sha512Update(scratch + done, part);
    done += part;
  }
  exports.sha512Finish(OUT);
  return hex(bench.octets(64, OUT));
}

const oracle = (data: Uint8Array) => createHash("sha512").update(data).digest("hex");
const random = seededRandom(1804);
const noise = Uint8Array.from({ length: 3900 }, () => random() & 0xff);

describe("SHA-512", () => {
  it.each([
    ["abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"],
    [
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
    ],
  ])("of %j is what FIPS 180-2 §C says", (text, digest) => {
    expect(sha512(new TextEncoder().encode(text))).toBe(digest);
  });

  it("is right in two parts, for every length up to three blocks and every split", () => {
    for (let length = 0; length <= 3 * 128 + 1; length++) {
      const data = noise.subarray(0, length);
      const digest = oracle(data);
      expect(hex(nobleSha512(data))).toBe(digest);
      const wrong = Array.from({ length: length + 1 }, (_, split) => split).filter((split) => sha512(data, split) !== digest);
      expect(wrong, `splits of ${length} octets`).toEqual([]);
    }
  });

  it("is right octet by octet and in any parts at all", () => {
    const data = noise.subarray(0, 400);
    expect(sha512(data, ...data.map(() => 1))).toBe(oracle(data));
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 260 }), { maxLength: 12 }), fc.nat(400), (parts, rest) => {
      const whole = noise.subarray(0, parts.reduce((sum, part) => sum + part, rest));
      expect(sha512(whole, ...parts)).toBe(oracle(whole));
    }), { numRuns: 500 });
  });

  it("keeps nothing of the digest before, finished or not", () => {
    exports.sha512Start();
    exports.sha512Update(scratch, 177);
    expect(sha512(noise.subarray(0, 60))).toBe(oracle(noise.subarray(0, 60)));
    expect(sha512(noise.subarray(0, 60))).toBe(oracle(noise.subarray(0, 60)));
  });
});
