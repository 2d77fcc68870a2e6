// SPDX-License-Identifier: MIT OR Apache-2.0
/** now() and measure() against a relay that may be late, wrong or worse; with the WebSocket of ws, on Node. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Quiet, openTelling, type Telling } from "../../tests/browser/telling.ts";
import { measure, now } from "./now.ts";

beforeAll(() => void vi.stubGlobal("WebSocket", Quiet));
afterAll(() => void vi.unstubAllGlobals());

async function told<T>(act: (relay: Telling) => Promise<T>): Promise<T> {
  await using relay = await openTelling();
  // Awaited here, as the relay ends with this block.
  return await act(relay);
}

describe("measure()", () => {
  test("finds the offset within its bound, and asks four times", () => told(async (relay) => {
    relay.wrong = -7.5;
    const { offset, bound, delay } = await measure({ relay: relay.url });
    expect(Math.abs(offset + 7.5)).toBeLessThanOrEqual(bound);
    expect(bound).toBeLessThan(0.5);
    expect(delay).toBeGreaterThan(0);
    expect(relay.asked).toBe(4);
  }));

  test.each([["out", 120, 0], ["back", 0, 120]])("admits in its bound what is slow on the way %s", (_, holdRequest, holdReply) => told(async (relay) => {
    Object.assign(relay, { holdRequest, holdReply });
    const { offset, bound } = await measure({ relay: relay.url, samples: 1 });
    expect(Math.abs(offset)).toBeGreaterThan(0.04);
    expect(Math.abs(offset)).toBeLessThanOrEqual(bound);
  }));

  test("believes the majority, not the one that is surest", async () => {
    await using liar = await openTelling();
    await using one = await openTelling();
    await using other = await openTelling();
    liar.wrong = 60;
    one.holdReply = other.holdReply = 20;
    const { offset } = await measure({ sources: [liar.url, one.url, other.url] });
    expect(Math.abs(offset)).toBeLessThan(1);
    await expect(measure({ sources: [liar.url, one.url] })).rejects.toMatchObject({ code: "NO_AGREEMENT" });
  });

  const wrong: [string, (frame: Buffer) => Buffer][] = [
    ["an unsynchronised clock", (frame) => (frame.writeUInt8(0xe4, 8), frame)],
    ["stratum 16", (frame) => (frame.writeUInt8(16, 9), frame)],
    ["stratum 0", (frame) => (frame.writeUInt8(0, 9), frame)],
    ["another mode", (frame) => (frame.writeUInt8(0x23, 8), frame)],
    ["an answer to another request", (frame) => (frame.writeUInt8(frame[8 + 31]! ^ 1, 8 + 31), frame)],
  ];
  test.each(wrong)("does not believe %s", (_, change) => told(async (relay) => {
    relay.change = change;
    await expect(measure({ relay: relay.url })).rejects.toMatchObject({ code: "NO_AGREEMENT" });
  }));

  test("says what the relay refused, and when it went away", () => told(async (relay) => {
    relay.change = (frame) => Buffer.concat([Buffer.from([0x2f, 2, 0, 0]), frame.subarray(4, 8), Buffer.from("too many requests")]);
    await expect(measure({ relay: relay.url })).rejects.toMatchObject({ code: "UNREACHABLE", message: expect.stringContaining("too many requests") });
    relay.change = () => void relay.cut();
    await expect(measure({ relay: relay.url })).rejects.toMatchObject({ code: "UNREACHABLE" });
  }));

  test("takes no frame for an answer that is shorter, however short", () => told(async (relay) => {
    for (let length = 0; length < 56; length += 5) {
      relay.change = (frame) => frame.subarray(0, length);
      const stop = AbortSignal.timeout(60);
      await expect(measure({ relay: relay.url, signal: stop })).rejects.toThrow();
    }
  }));

  test("ends when it is aborted, and where there is nobody", async () => {
    await expect(now({ relay: "ws://127.0.0.1:1/" })).rejects.toMatchObject({ code: "UNREACHABLE" });
    await expect(now({ relay: "ws://127.0.0.1:1/", signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
    await expect(now({ sources: ["time.example.org"] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(now()).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("escapement relay") });
  });
});
