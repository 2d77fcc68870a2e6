// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { load as loadBun } from "./ffi-bun.ts";
import { load as loadDeno } from "./ffi-deno.ts";
import { load as loadNode, wanted } from "./ffi-node.ts";
import { libcNames, openFirst } from "./libc-names.ts";

describe("an FFI that is not of this runtime", () => {
  it("is undefined, not an error", async () => {
    expect(loadDeno()).toBeUndefined();
    expect(await loadBun()).toBeUndefined();
  });

  it("is undefined on Deno without the permission, which is not requested", () => {
    const globals = globalThis as { Deno?: unknown };
    globals.Deno = { permissions: { querySync: () => ({ state: "prompt" }) } };
    try {
      expect(loadDeno()).toBeUndefined();
    } finally {
      delete globals.Deno;
    }
  });
});

describe("node:ffi", () => {
  it.each([
    [["--experimental-ffi"], {}],
    [["--permission", "--allow-ffi"], {}],
    [["--no-warnings"], {}],
    [[], { NODE_OPTIONS: "--max-old-space-size=100 --experimental-ffi" }],
    [[], { NODE_NO_WARNINGS: "1" }],
  ])("is used when started with %j %j", (flags, environment) => expect(wanted(flags, environment)).toBe(true));

  it.each([
    [[], {}],
    [["--enable-source-maps"], { NODE_OPTIONS: "" }],
    [["--no-experimental-ffi", "--no-warnings"], {}],
  ])("is left alone, warning and all, when started with %j %j", (flags, environment) => {
    expect(wanted(flags, environment)).toBe(false);
  });

  it("never throws", async () => {
    await expect(loadNode()).resolves.not.toThrow();
  });
});

describe("the C library's names", () => {
  it("cover glibc and musl", () => {
    expect(libcNames("linux", "arm64")).toEqual(["libc.so.6", "libc.musl-aarch64.so.1"]);
    expect(libcNames("win32", "x64")).toEqual([]);
  });

  it("are tried in order, and the last failure is told", () => {
    const open = (path: string): string => {
      if (path.includes("musl")) return path;
      throw new Error(`no ${path}`);
    };
    if (process.platform === "linux") expect(openFirst(null, open)).toContain("musl");
    expect(() => openFirst("libm.so", open)).toThrow("no libm.so");
  });
});
