// SPDX-License-Identifier: MIT OR Apache-2.0
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readControls } from "./message.ts";

const NOTHING = { stampNs: undefined, hardwareNs: undefined, device: 0, frame: 0, error: undefined };

/** One control message, padded to 8. */
function control(level: number, type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((16 + data.length + 7) & ~7);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 16 + data.length, true);
  view.setInt32(8, level, true);
  view.setInt32(12, type, true);
  bytes.set(data, 16);
  return bytes;
}

function stamp(seconds: bigint, nanoseconds: bigint): Uint8Array {
  const data = new Uint8Array(48);
  new DataView(data.buffer).setBigInt64(0, seconds, true);
  new DataView(data.buffer).setBigInt64(8, nanoseconds, true);
  return control(1, 37, data);
}

function error(level: 0 | 41, errno: number, origin: number, data = 0): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, errno, true);
  bytes[4] = origin;
  view.setUint32(12, data, true);
  return control(level, level === 0 ? 11 : 25, bytes);
}

function read(...parts: Uint8Array[]): ReturnType<typeof readControls> {
  const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
  return readControls(new DataView(bytes.buffer), 0, bytes.length);
}

describe("control messages", () => {
  it("hold the software stamp", () => {
    expect(read(stamp(1_700_000_000n, 999_999_999n))).toEqual({ ...NOTHING, stampNs: 1_700_000_000_999_999_999n });
  });

  it("hold no stamp when it is all zero", () => {
    expect(read(stamp(0n, 0n))).toEqual(NOTHING);
  });

  it("hold errors of both families", () => {
    expect(read(error(0, 111, 2)).error).toEqual({ errno: 111, stampOf: undefined });
    expect(read(error(41, 113, 3)).error).toEqual({ errno: 113, stampOf: undefined });
  });

  it("hold transmit stamps with the number of the datagram, behind messages nobody asked for", () => {
    const unknown = control(1, 99, Uint8Array.of(1, 2, 3));
    expect(read(unknown, stamp(5n, 6n), error(0, 42, 4, 0xfffffffe))).toEqual({
      ...NOTHING,
      stampNs: 5_000_000_006n,
      error: { errno: 42, stampOf: 0xfffffffe },
    });
  });

  it("hold the card's stamp, and the interface that took it before the one that the socket sees", () => {
    const [four, six] = [control(0, 8, Uint8Array.of(7, 0, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1)), control(41, 50, Uint8Array.of(...Array<number>(16).fill(0xfe), 9, 0, 0, 0))];
    const both = stamp(5n, 6n);
    new DataView(both.buffer).setBigInt64(16 + 32, 42n, true);
    expect(read(both, four)).toEqual({ ...NOTHING, stampNs: 5_000_000_006n, hardwareNs: 42_000_000_000n, device: 7 });
    expect(read(six, both).device).toBe(9);
    const stamper = control(1, 58, Uint8Array.of(3, 0, 0, 0, 90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    expect([read(four, stamper), read(stamper, four)]).toEqual([{ ...NOTHING, device: 3, frame: 90 }, { ...NOTHING, device: 3, frame: 90 }]);
    // A driver that does not tell.
    stamper[16] = 0;
    expect(read(stamper, four).device).toBe(7);
  });

  it.each([["a stamp", stamp(5n, 6n)], ["an IPv4 address", control(0, 8, Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))], ["a stamp's interface", control(1, 58, new Uint8Array(16).fill(1))]])("are ignored where they are cut off: %s", (_, whole) => {
    const parts = new DataView(whole.buffer).getUint32(0, true);
    for (let length = 0; length < parts; length++) expect(read(whole.slice(0, length))).toEqual(NOTHING);
  });

  it("end the walk where a length is impossible", () => {
    const broken = stamp(5n, 6n);
    for (const length of [0, 15, 0xffffffff]) {
      new DataView(broken.buffer).setUint32(0, length, true);
      expect(read(broken, stamp(7n, 8n))).toEqual(NOTHING);
    }
  });

  it("never throw, whatever the octets", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void read(bytes)));
  });
});
