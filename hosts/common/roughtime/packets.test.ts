// SPDX-License-Identifier: MIT OR Apache-2.0
/** Packets out of a stream at every split, and the end at what is none. @module */

import { describe, expect, it } from "vitest";
import { concat } from "../octets.ts";
import { packetsOf } from "./packets.ts";
import { makeRequest } from "./request.ts";

const key = new Uint8Array(32).fill(1);
const packets = [1, 2, 3].map((fill) => makeRequest(key, new Uint8Array(32).fill(fill)));
const whole = concat(...packets);

/** A stream of these chunks. */
function streamOf(chunks: readonly Uint8Array[]): { read(): Promise<Uint8Array | undefined> } {
  const left = [...chunks];
  return { read: async () => left.shift() };
}

async function all(chunks: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const got: Uint8Array[] = [];
  for await (const packet of packetsOf(streamOf(chunks))) got.push(packet);
  return got;
}

describe("the packets of a stream", () => {
  it("are whole at every split in two", async () => {
    for (let split = 0; split <= whole.length; split++) {
      expect((await all([whole.subarray(0, split), whole.subarray(split)])).length).toBe(3);
    }
  });

  it("are whole octet by octet, and equal to what was sent", async () => {
    expect(await all(Array.from(whole.subarray(0, 1500), (octet) => Uint8Array.of(octet)))).toEqual([packets[0]]);
    expect(await all([whole])).toEqual(packets);
  });

  it("end without the one that is cut short", async () => {
    expect(await all([whole.subarray(0, whole.length - 1)])).toEqual(packets.slice(0, 2));
    expect(await all([])).toEqual([]);
  });

  it.each([
    ["other octets", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
    ["a packet of 4 GiB", concat(whole.subarray(0, 8), new Uint8Array(4).fill(255))],
    ["a packet longer than any", concat(whole.subarray(0, 8), Uint8Array.of(0, 16, 0, 0))],
  ])("are over with an error at %s, after those that were whole", async (_, junk) => {
    const got: Uint8Array[] = [];
    await expect(async () => {
      for await (const packet of packetsOf(streamOf([packets[0]!, junk]))) got.push(packet);
    }).rejects.toThrow("expected a Roughtime packet");
    expect(got).toEqual([packets[0]]);
  });
});
