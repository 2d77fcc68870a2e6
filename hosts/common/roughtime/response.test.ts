// SPDX-License-Identifier: MIT OR Apache-2.0
/** The RFC's own exchanges hold; nothing else does: every truncation, every changed octet, wrong keys, wrong requests. @module */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { roughtimeCore } from "./core.ts";
import { drawNonce, makeRequest } from "./request.ts";
import { verifyResponse } from "./response.ts";

interface Vector {
  readonly rand?: string;
  readonly publicKey: string;
  readonly request: string;
  readonly response: string;
}

const decode = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const { responses } = JSON.parse(readFileSync(new URL("../../../tests/vectors/roughtime-rfc10049-appendix-b.json", import.meta.url), "utf8")) as { responses: Vector[] };
const exchanges = responses.map(({ rand, publicKey, request, response }) => ({
  rand: rand === undefined ? undefined : decode(rand),
  publicKey: decode(publicKey),
  request: decode(request),
  response: decode(response),
}));
const first = exchanges[0]!;
const why = (response: Uint8Array, request = first.request, key = first.publicKey) => verifyResponse(response, request, key).why;

describe("the exchanges of RFC 10049 appendix B", () => {
  it.each([[0, 1773685571n], [1, 1773599171n], [2, 1773599171n]])("number %d is valid and says %d", (index, midpoint) => {
    const { request, response, publicKey } = exchanges[index]!;
    const { answer, why } = verifyResponse(response, request, publicKey);
    expect(why).toBeUndefined();
    expect(answer).toMatchObject({ midpoint, radius: 3, version: 1, versions: [1], height: 0, index: 0 });
  });

  it("have requests that we would have written to the octet, but for the versions", () => {
    for (const { request, publicKey } of exchanges) expect(Buffer.from(makeRequest(publicKey, nonceOf(request), [1]))).toEqual(Buffer.from(request));
  });

  it("are chained: each nonce is the hash of the response before and its rand", () => {
    for (let i = 1; i < exchanges.length; i++) {
      const { rand, request } = exchanges[i]!;
      expect(roughtimeCore().nextNonce(exchanges[i - 1]!.response, rand!)).toEqual(nonceOf(request));
    }
  });
});

describe("a response is refused", () => {
  it("at every truncation, and with any octet more", () => {
    const valid = Array.from({ length: first.response.length }, (_, length) => length).filter((length) => why(first.response.subarray(0, length)) === undefined);
    expect(valid).toEqual([]);
    expect(why(Uint8Array.of(...first.response, 0))).toMatch(/malformed/);
    expect(why(new Uint8Array(5000))).toMatch(/malformed/);
  });

  it("with any octet changed: every one of them is under a signature or checked", () => {
    const valid = Array.from(first.response, (octet, at) => {
      const changed = first.response.slice();
      changed[at] = octet ^ 0x01;
      return why(changed);
    }).flatMap((reason, at) => (reason === undefined ? [at] : []));
    expect(valid).toEqual([]);
  }, 60_000);

  it("by another key than the server's", () => {
    expect(why(first.response, first.request, exchanges[1]!.publicKey)).toMatch(/long-term key/);
    expect(why(first.response, first.request, new Uint8Array(32))).toMatch(/long-term key/);
  });

  it("to another request, even one that differs in its padding only", () => {
    expect(why(first.response, exchanges[1]!.request)).toMatch(/nonce/);
    const padded = first.request.slice();
    padded[1035] = 1;
    expect(why(first.response, padded)).toMatch(/tree/);
  });

  it("to what is no request", () => {
    expect(why(first.response, first.response)).toMatch(/request/);
    expect(why(first.response, new Uint8Array(0))).toMatch(/request/);
  });
});

describe("a request", () => {
  const key = first.publicKey;

  it("has 1036 octets whatever it offers, and takes its nonce along", () => {
    const { nonce } = drawNonce({ random: (bytes) => bytes.fill(7) });
    for (const versions of [[1], [0x8000000c], [1, 0x8000000c]]) {
      const request = makeRequest(key, nonce, versions);
      expect(request.length).toBe(1036);
      expect(new DataView(request.buffer).getUint32(12 + 40, true)).toBe(versions[0]);
      expect(Buffer.from(request).includes(Buffer.from(nonce))).toBe(true);
    }
  });

  it("after a response has another nonce for another rand", () => {
    let fill = 1;
    const host = { random: (bytes: Uint8Array<ArrayBuffer>) => bytes.fill(fill++) };
    const [one, two] = [drawNonce(host, first.response), drawNonce(host, first.response)];
    expect(one.nonce).not.toEqual(two.nonce);
    expect(one.nonce).not.toEqual(one.rand);
    expect(roughtimeCore().nextNonce(first.response, one.rand!)).toEqual(one.nonce);
  });
});

/** By the fixed places of appendix B's requests: header of five tags, VER of one version, SRV. */
function nonceOf(request: Uint8Array): Uint8Array {
  return request.slice(12 + 40 + 4 + 32, 12 + 40 + 4 + 32 + 32);
}
