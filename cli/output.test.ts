// SPDX-License-Identifier: MIT OR Apache-2.0
/** Output that cannot be written, and Ctrl-C: exit status, and no stack trace. @module */

import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, openSync, closeSync } from "node:fs";
import process from "node:process";
import { describe, expect, it } from "vitest";
import { COMMAND, type Ended } from "../tests/support/peers.ts";

const built = existsSync(COMMAND);
if (!built) console.warn('SKIPPED: tests of output need a build; run "node build/build.mjs --no-types"');
const PATIENCE_MS = 20_000;

type Stdio = "pipe" | number;

/** Run the command; `begun` is called with it. */
function run(args: readonly string[], stdout: Stdio, begun: (child: ReturnType<typeof spawn>) => void = () => {}): Promise<Ended & { readonly signal: string | null }> {
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ["ignore", stdout, "pipe"], timeout: PATIENCE_MS, env: { ...process.env, NO_COLOR: "1" } });
  const said = { stdout: "", stderr: "" };
  child.stdout?.on("data", (data) => (said.stdout += String(data)));
  child.stderr!.on("data", (data) => (said.stderr += String(data)));
  begun(child);
  return new Promise((resolve) => child.on("close", (status, signal) => resolve({ status, signal, ...said })));
}

describe.skipIf(!built)("output", () => {
  it.each([[["--help"]], [["check", "/nonexistent", "--json"]], [["query", "--help"]]])("%j to a reader that has left ends quietly, and not as if it had been read", async (args) => {
    const { status, stderr } = await run(args, "pipe", (child) => child.stdout!.destroy());
    expect({ status, stderr }).toEqual({ status: 141, stderr: "" });
  });

  it.skipIf(!existsSync("/dev/full"))("to a full disk is said, with exit status 1 and no stack trace", async () => {
    const full = openSync("/dev/full", "w");
    try {
      const { status, stderr } = await run(["--help"], full);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^escapement: expected to write to standard output, got ENOSPC.*\n$/);
    } finally {
      closeSync(full);
    }
  });

  it("serve goes on when nobody reads its messages, and ends with status 0", async () => {
    let out = "";
    const { status } = await run(["serve", "--listen", "127.0.0.1:0", "--workers", "0"], "pipe", (child) => {
      child.stderr!.destroy();
      child.stdout!.on("data", (data) => {
        out += String(data);
        if (out.includes("Ctrl-C")) child.kill("SIGINT");
      });
    });
    expect(status).toBe(0);
  });
});

describe.skipIf(!built)("Ctrl-C", () => {
  it("ends a query that waits, as the signal does, without a word", async () => {
    const silent = createSocket("udp4");
    await new Promise<void>((resolve) => silent.bind(0, "127.0.0.1", resolve));
    // Its request says that it waits.
    const { status, signal, stdout, stderr } = await run(["query", `127.0.0.1:${silent.address().port}`, "--timeout", "30"], "pipe", (child) => silent.on("message", () => child.kill("SIGINT")));
    silent.close();
    expect({ status, signal, stdout, stderr }).toEqual({ status: null, signal: "SIGINT", stdout: "", stderr: "" });
  });

  it.each([
    [["serve", "--listen", "127.0.0.1:0"]],
    [["relay", "--listen", "127.0.0.1:0", "--stratum", "3"]],
  ])("ends %j with status 0", async (args) => {
    let out = "";
    const { status, stderr } = await run(args, "pipe", (child) =>
      child.stdout!.on("data", (data) => {
        out += String(data);
        if (out.includes("Ctrl-C")) child.kill("SIGINT");
      }),
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
