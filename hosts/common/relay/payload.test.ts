// SPDX-License-Identifier: MIT OR Apache-2.0
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isReplyTo, isTimeRequest } from "./payload.ts";

const packet = (first: number, length = 48, fill = 0) => {
  const octets = new Uint8Array(length);
  octets[0] = first;
  octets.fill(fill, 24, 48);
  return octets;
};

describe("what a relay carries", () => {
  it("are requests in mode 3 of versions 3 to 5, with or without fields, and nothing else that NTP has", () => {
    for (let first = 0; first < 256; first++) {
      const wanted = (first & 7) === 3 && [3, 4, 5].includes((first >> 3) & 7);
      expect(isTimeRequest(packet(first))).toBe(wanted);
    }
    expect(isTimeRequest(packet(0x23, 1232))).toBe(true);
    for (const length of [0, 1, 44, 47, 49, 1236]) expect(isTimeRequest(packet(0x23, length))).toBe(false);
  });

  it("are Roughtime requests of full size", () => {
    const framed = (length: number) => {
      const octets = new Uint8Array(length);
      octets.set(new TextEncoder().encode("ROUGHTIM"));
      return octets;
    };
    expect(isTimeRequest(framed(1036))).toBe(true);
    expect(isTimeRequest(framed(1023))).toBe(false);
    expect(isReplyTo(framed(1036), framed(400))).toBe(true);
    expect(isReplyTo(framed(1036), packet(0x24, 48))).toBe(false);
    expect(isReplyTo(packet(0x23, 48), framed(48))).toBe(false);
  });

  it("is never a reply longer than its request", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 80 }), (request, reply) => {
      if (isReplyTo(request, reply)) expect(reply.length).toBeLessThanOrEqual(request.length);
    }));
  });

  it("is a reply with the request's origin, basic or interleaved, or NTPv5's cookie", () => {
    const asked = packet(0x23);
    asked.fill(1, 32, 40).fill(2, 40, 48);
    const reply = (first: number, origin: number) => {
      const octets = packet(first);
      octets.fill(origin, 24, 32);
      return octets;
    };
    expect(isReplyTo(asked, reply(0x24, 2))).toBe(true);
    expect(isReplyTo(asked, reply(0x24, 1))).toBe(true);
    expect(isReplyTo(asked, reply(0x24, 3))).toBe(false);
    expect(isReplyTo(packet(0x2b, 48, 7), reply(0x2c, 7))).toBe(true);
    expect(isReplyTo(packet(0x2b, 48, 7), reply(0x2c, 8))).toBe(false);
  });
});
