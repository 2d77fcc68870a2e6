// SPDX-License-Identifier: MIT OR Apache-2.0
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHost, LONGEST_DATAGRAM, LONGEST_FRAME, readFrame, writeFrame, type Frame } from "./protocol.ts";

const id = fc.integer({ min: 0, max: 0xffff_ffff });
const port = fc.integer({ min: 1, max: 65535 });
const host = fc.constantFrom("time.example.org", "127.0.0.1", "2001:db8::1", "a", "_x.example");
const datagram = fc.uint8Array({ minLength: 1, maxLength: LONGEST_DATAGRAM });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const text = fc.string({ maxLength: 60, unit: fc.constantFrom("a", "é", " ", "…", "🕰") });

const frames: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ type: fc.constant("datagram" as const), id, host, port, payload: datagram }),
  fc.record({ type: fc.constant("open" as const), id, host, port }),
  fc.record({ type: fc.constantFrom("data" as const, "time" as const, "timed" as const), id, payload: datagram }),
  fc.record({ type: fc.constantFrom("close" as const, "opened" as const), id }),
  fc.record({ type: fc.constant("reply" as const), id, times: fc.record({ t2: u64, t3: u64, out: u32, back: u32 }), payload: datagram }),
  fc.record({ type: fc.constant("error" as const), id, code: fc.integer({ min: 1, max: 255 }), text: text.filter((said) => new TextEncoder().encode(said).length <= 200) }),
);

describe("frames of the relay", () => {
  it("come back as they were written", () => {
    fc.assert(fc.property(frames, (frame) => void expect(readFrame(writeFrame(frame))).toEqual(frame)));
  });

  it("are refused at every truncation that is not itself whole, and never throw", () => {
    fc.assert(fc.property(frames, (frame) => {
      const whole = writeFrame(frame);
      for (let length = 0; length < whole.length; length++) {
        const cut = readFrame(whole.subarray(0, length));
        // What carries a body of free length is whole with a shorter one; all else must be refused.
        if (cut && cut.type !== "error") expect(writeFrame(cut)).toHaveLength(length);
        if (length < 8 || frame.type === "open") expect(cut).toBeUndefined();
      }
    }), { numRuns: 60 });
  });

  it("of arbitrary octets are refused or are canonical", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0x10, 0x11, 0x12, 0x13, 0x14, 0x20, 0x21, 0x24, 0x2f, 0), (octets, type) => {
      if (octets.length > 8) octets.set([type, type === 0x2f ? 1 : 0, 0, type === 0x10 || type === 0x11 ? 123 : 0]);
      const frame = readFrame(octets);
      if (frame && frame.type !== "error") expect(writeFrame(frame)).toEqual(octets);
    }), { numRuns: 3000 });
  });

  it("say nothing where nothing belongs", () => {
    const close = writeFrame({ type: "close", id: 1 });
    for (const [at, value] of [[1, 1], [2, 1], [3, 1]] as const) {
      const odd = close.slice();
      odd[at] = value;
      expect(readFrame(odd)).toBeUndefined();
    }
    expect(readFrame(Uint8Array.of(...close, 0))).toBeUndefined();
  });

  it("have bounds", () => {
    const payload = new Uint8Array(LONGEST_DATAGRAM + 1);
    expect(() => writeFrame({ type: "time", id: 1, payload })).toThrow(RangeError);
    expect(writeFrame({ type: "time", id: 1, payload: payload.subarray(1) })).toHaveLength(LONGEST_DATAGRAM + 8);
    expect(readFrame(new Uint8Array(LONGEST_FRAME + 1).fill(0x12, 0, 1))).toBeUndefined();
    expect(readFrame(new Uint8Array(LONGEST_FRAME).fill(0x12, 0, 1))?.type).toBe("data");
  });

  it("saturate a wait that 32 bits cannot hold", () => {
    const frame = readFrame(writeFrame({ type: "reply", id: 1, times: { t2: 0n, t3: 0n, out: 1e12, back: -5 }, payload: Uint8Array.of(1) }));
    expect(frame).toMatchObject({ times: { out: 0xffff_ffff, back: 0 } });
  });

  it("carry text that a terminal does not obey", () => {
    const frame = readFrame(writeFrame({ type: "error", id: 1, code: 1, text: "a\u001b[2Jb\u009bc" }));
    expect(frame).toMatchObject({ text: "a�[2Jb�c" });
  });

  it.each(["", "-a", "a b", "a/b", "[::1]", "fe80::1%lo", "a:1", "é.example", "a".repeat(254), "user@host"])("do not take %j for a host", (wrong) => {
    expect(isHost(wrong)).toBe(false);
    expect(() => writeFrame({ type: "open", id: 1, host: wrong, port: 1 })).toThrow(RangeError);
  });
});
