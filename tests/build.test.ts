// SPDX-License-Identifier: MIT OR Apache-2.0
/** What is built: a core that imports nothing and never grows, strings that do not leak, and sizes somebody accepted. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { instantiateSync } from "#as-bind";
import { Core, coreBytes, coreModule } from "../hosts/common/core/core.ts";
import { captured, fromHex } from "./support/core.ts";

const file = (path: string) => new URL(`../${path}`, import.meta.url);

describe("core.wasm", () => {
  it("imports nothing", () => {
    expect(WebAssembly.Module.imports(coreModule())).toEqual([]);
  });

  it("is valid, and its twin in base64 is the same core", () => {
    expect(WebAssembly.validate(coreBytes()!)).toBe(true);
    expect(Buffer.compare(readFileSync(file("dist/core.wasm")), coreBytes()!)).toBe(0);
  });

  it("has a memory that cannot grow, so that views stay valid", () => {
    const { memory } = new Core().exports;
    const before = memory.buffer;
    expect(() => memory.grow(1)).toThrow(RangeError);
    expect(memory.buffer).toBe(before);
  });

  it("shares nothing between instances", () => {
    const [one, other] = [new Core(), new Core()];
    one.bytes.fill(0xff, one.constant("SERVER"), one.constant("SERVER") + one.constant("SERVER_SIZE"));
    expect(other.bytes.subarray(other.constant("SERVER"), other.constant("SERVER") + other.constant("SERVER_SIZE")).every((octet) => octet === 0)).toBe(true);
  });

  it("exports every address the hosts ask for, and says so when it does not", () => {
    expect(() => new Core().constant("NOTHING_OF_THE_KIND")).toThrow(/exports no constant/);
    expect(new Core().constant("SLOT_STRIDE_OCTETS")).toBe(2112);
  });
});

describe("the cold surface", () => {
  it("survives 60,000 calls with strings in a memory that they would fill many times over", () => {
    const { exports } = instantiateSync(coreModule());
    const { memory } = exports as unknown as { memory: WebAssembly.Memory };
    const size = memory.buffer.byteLength;
    const explain = exports["explainPacket"] as (packet: Uint8Array) => string;
    const meaning = exports["referenceMeaning"] as (code: string) => string;
    const packets = captured.map(({ hex }) => fromHex(hex));
    const first = packets.map((packet) => explain(packet));
    let octets = 0;
    let wrong = 0;
    for (let call = 0; call < 60_000; call++) {
      const index = call % packets.length;
      const text = explain(packets[index]!);
      octets += text.length * 2;
      if (text !== first[index] || meaning("GPS") !== "Global Positioning System") wrong += 1;
    }
    expect(wrong).toBe(0);
    expect(octets).toBeGreaterThan(3 * size); // leaked, they would have trapped
    expect(memory.buffer.byteLength).toBe(size);
  });
});

describe("sizes", () => {
  const NEEDED = ["build/sizes.json", ...["core/index", "node/index", "deno/index", "bun/index", "cli/main"].map((name) => `dist/${name}.js`)];
  const missing = NEEDED.filter((path) => !existsSync(file(path)));

  it("are those somebody accepted", async ({ skip }) => {
    if (missing.length > 0) {
      const message = `SIZES NOT COMPARED: ${missing.join(", ")} missing; run "node build/build.mjs" (and --golden the first time)`;
      console.warn(message);
      skip(message);
    }
    const { changedSizes } = (await import(/* @vite-ignore */ file("build/sizes.mjs").href)) as { changedSizes(): string[] };
    expect(changedSizes(), "look at what changed, then accept it with node build/build.mjs --golden").toEqual([]);
  });
});
