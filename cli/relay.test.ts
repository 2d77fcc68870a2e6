// SPDX-License-Identifier: MIT OR Apache-2.0
/** `escapement relay` as its users run it: wrong usage; what it does is in tests/interop/relay.test.ts. @module */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const COMMAND = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const built = existsSync(COMMAND);
if (!built) console.warn(`SKIPPED: the command's tests need ${COMMAND}; run "node build/build.mjs --no-types"`);

function escapement(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [COMMAND, ...args], { timeout: 120_000, env: { ...process.env, NO_COLOR: "1" } }, (_, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr }));
  });
}

describe.skipIf(!built)("escapement relay", () => {
  it.each<[string, readonly string[], RegExp]>([
    ["no target and no time to tell", [], /--allow HOST:PORT/],
    ["a target without a port", ["--allow", "time.example.org"], /expected a target like/],
    ["a pattern for a target", ["--allow", "*:123"], /expected a target like/],
    ["an origin with a path", ["--allow", "a.example:123", "--origin", "https://a.example/x"], /without a path/],
    ["a rate of nothing", ["--allow", "a.example:123", "--rate", "0"], /--rate/],
    ["an operand", ["a.example:123"], /expected only options/],
  ])("refuses %s", async (_, args, why) => {
    const { status, stderr } = await escapement("relay", ...(args.length > 0 && args[0] !== "a.example:123" ? ["--listen", "127.0.0.1:0"] : []), ...args);
    expect(stderr).toMatch(why);
    expect(status).toBe(2);
  });

  it("query refuses what is no relay's URL, and does not show a password", async () => {
    const { status, stdout, stderr } = await escapement("query", "--relay", "ws://me:secret@relay.example/", "time.example.org", "--timeout", "1");
    expect(status).toBe(2);
    expect(stderr).toMatch(/expected the relay's URL/);
    expect(stdout + stderr).not.toContain("secret");
  });

  it("query says when there is no relay", async () => {
    const { status, stdout } = await escapement("query", "--relay", "ws://127.0.0.1:9/", "time.example.org", "--json", "--timeout", "3");
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ samples: [], errors: [{ code: "UNREACHABLE" }] });
  });
});
