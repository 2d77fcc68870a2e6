// SPDX-License-Identifier: MIT OR Apache-2.0
/** MD5 against RFC 1321's own vectors and Node's, streamed at every split of nought to three blocks. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bench, hex, seededRandom } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, scratch } = bench;
const OUT = scratch + 4000;

/** The digest of `data` handed over in parts of the given lengths and then the rest. */
function md5(data: Uint8Array, ...parts: number[]): string {
  core.bytes.set(data, scratch);
  exports.md5Start();
  let done = 0;
  for (const part of [...parts, data.length - parts.reduce((sum, part) => sum + part, 0)]) {
    exports.md5Update(scratch + done, part);
    done += part;
  }
  exports.md5Finish(OUT);
  return hex(bench.octets(16, OUT));
}

const oracle = (data: Uint8Array) => createHash("md5").update(data).digest("hex");
const random = seededRandom(1321);
const noise = Uint8Array.from({ length: 3900 }, () => random() & 0xff);

describe("MD5", () => {
  it.each([
    ["", "d41d8cd98f00b204e9800998ecf8427e"],
    ["a", "0cc175b9c0f1b6a831c399e269772661"],
    ["abc", "900150983cd24fb0d6963f7d28e17f72"],
    ["message digest", "f96b697d7cb7938d525a2f31aaf161d0"],
    ["abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"],
    ["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"],
    ["12345678901234567890123456789012345678901234567890123456789012345678901234567890", "57edf4a22be3c955ac49da2e2107b67a"],
  ])("of %j is what RFC 1321 §A.5 says", (text, digest) => {
    expect(md5(new TextEncoder().encode(text))).toBe(digest);
  });

  it("is right in two parts, for every length up to three blocks and every split", () => {
    for (let length = 0; length <= 3 * 64 + 1; length++) {
      const data = noise.subarray(0, length);
      const digest = oracle(data);
      const wrong = Array.from({ length: length + 1 }, (_, split) => split).filter((split) => md5(data, split) !== digest);
      expect(wrong, `splits of ${length} octets`).toEqual([]);
    }
  });

  it("is right octet by octet and in any parts at all", () => {
    const data = noise.subarray(0, 200);
    expect(md5(data, ...data.map(() => 1))).toBe(oracle(data));
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 130 }), { maxLength: 12 }), fc.nat(200), (parts, rest) => {
      const whole = noise.subarray(0, parts.reduce((sum, part) => sum + part, rest));
      expect(md5(whole, ...parts)).toBe(oracle(whole));
    }), { numRuns: 500 });
  });

  it("keeps nothing of the digest before, finished or not", () => {
    exports.md5Start();
    exports.md5Update(scratch, 77);
    expect(md5(noise.subarray(0, 60))).toBe(oracle(noise.subarray(0, 60)));
    expect(md5(noise.subarray(0, 60))).toBe(oracle(noise.subarray(0, 60)));
  });
});
