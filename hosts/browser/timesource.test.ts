// SPDX-License-Identifier: MIT OR Apache-2.0
/** HTTP time as packets, and what is none; the WebSocket side is in now.test.ts. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packetOf } from "./httptime.ts";
import { measure } from "./now.ts";

let body: () => string = () => "";
let status = 200;
const server = createServer((_, response) => response.writeHead(status).end(body()));
let url = "";
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => void server.close());

describe("HTTP time", () => {
  test("is found within its bound, told or not", async () => {
    for (const told of [', "bound": 0.002', ""]) {
      status = 200;
      body = () => `{"st": ${Date.now() / 1000 + 9}${told}}`;
      const { offset, bound } = await measure({ sources: [url] });
      expect(Math.abs(offset - 9)).toBeLessThanOrEqual(bound);
      expect(bound).toBeGreaterThan(told ? 0.002 : 0.01);
    }
  });

  test.each([[200, "{}"], [200, '{"st": "now"}'], [200, '{"st": 1e300}'], [200, '{"st": -1}'], [200, '{"st": 1, "bound": -1}'], [200, '{"st": 1, "bound": "x"}'], [503, '{"st": 1}']])(
    "is not made of %i %s", async (code, text) => {
      status = code;
      body = () => text;
      await expect(measure({ sources: [url] })).rejects.toMatchObject({ code: "UNREACHABLE" });
    });

  test("is said exactly, on both sides of 2036, with the origin of the request", () => {
    const request = new Uint8Array(48).fill(7, 40);
    for (const seconds of [1_700_000_000.5, 2_085_978_495.25, 2_085_978_496.75]) {
      const view = new DataView(packetOf(seconds, 0.01, request).buffer);
      expect(view.getUint32(40)).toBe((Math.floor(seconds) + 2_208_988_800) % 2 ** 32);
      expect(view.getUint32(44) / 2 ** 32).toBe(seconds % 1);
      expect(view.getBigUint64(24)).toBe(0x0707070707070707n);
      expect(view.getUint32(8) / 65536).toBeGreaterThanOrEqual(0.01);
    }
  });
});
