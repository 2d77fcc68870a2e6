// SPDX-License-Identifier: MIT OR Apache-2.0
import { createHash, createHmac, hkdfSync } from "node:crypto";
import { expect, test } from "vitest";
import { digest, expand, hmac, SHA_256, SHA_384 } from "./hash.ts";

const octets = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);

test.each([[SHA_256, "sha256"], [SHA_384, "sha384"]] as const)("$name, its HMAC and HKDF agree with node:crypto", async (hash, name) => {
  for (const length of [0, 1, 63, 64, 128, 1000]) {
    expect(Buffer.from(await digest(hash, octets(length)))).toEqual(createHash(name).update(octets(length)).digest());
    expect(Buffer.from(await hmac(hash, octets(hash.length), octets(length)))).toEqual(createHmac(name, octets(hash.length)).update(octets(length)).digest());
    // RFC 5869: extracted by hand, so that only the expansion is compared.
    const secret = await hmac(hash, octets(20), octets(40));
    const whole = length === 0 ? Buffer.alloc(0) : Buffer.from(hkdfSync(name, octets(40), octets(20), octets(9), length));
    expect(Buffer.from(await expand(hash, secret, octets(9), length))).toEqual(whole);
  }
  expect((await digest(hash, octets(3))).length).toBe(hash.length);
});

test("the most that can be expanded comes out whole, 255 digests", async () => {
  const secret = await hmac(SHA_256, octets(20), octets(40));
  expect(Buffer.from(await expand(SHA_256, secret, octets(9), 8160))).toEqual(Buffer.from(hkdfSync("sha256", octets(40), octets(20), octets(9), 8160)));
});
