// SPDX-License-Identifier: MIT OR Apache-2.0
/** Root given up, in processes of their own: in all threads, with no way back, and with the clock only where it was asked for. */
import { execFile, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { build } from "esbuild";
import { beforeAll, describe, expect, it } from "vitest";
import { CLI, NODE, built, lacking } from "./built.ts";

const run = promisify(execFile);
const root = process.getuid?.() === 0;
const skipped = lacking !== undefined || !root;
if (!root) console.warn("SKIPPED: giving up root needs root");
const NOBODY = 65534;

interface Thread {
  main: boolean;
  Uid: string;
  Gid: string;
  Groups: string;
  CapEff: string;
  CapPrm: string;
  NoNewPrivs: string;
}

let program: string;
beforeAll(async () => {
  program = path.resolve(".cache/run/privileges-child.mjs");
  await build({ entryPoints: ["tests/server/privileges-child.ts"], outfile: program, bundle: true, format: "esm", platform: "neutral", external: ["node:*", "koffi"], tsconfigRaw: "{}" });
});

async function drop(...args: string[]): Promise<{ threads?: Thread[]; failed?: string }> {
  const { stdout } = await run(NODE, [program, ...args]);
  return JSON.parse(stdout) as { threads?: Thread[] };
}

describe.skipIf(skipped)("a process that was root", () => {
  it("is nobody in each of its threads, in no group but nobody's, and can do nothing", async () => {
    const { threads } = await drop("nobody", "none");
    expect(threads!.length).toBeGreaterThan(1);
    for (const { Uid, Gid, CapEff, CapPrm, Groups } of threads!) {
      expect(Uid.split(/\s+/)).toEqual(Array.from({ length: 4 }, () => String(NOBODY)));
      expect(new Set(Gid.split(/\s+/))).toEqual(new Set([Groups]));
      expect([CapEff, CapPrm]).toEqual(["0000000000000000", "0000000000000000"]);
    }
    expect(threads!.find(({ main }) => main)!.NoNewPrivs).toBe("1");
  });

  it("keeps the right to set the clock only in the thread that asked for it", async () => {
    const { threads } = await drop("nobody", "keep");
    for (const { main, CapEff, CapPrm } of threads!) {
      const left = main ? "0000000002000000" : "0000000000000000";
      expect([CapEff, CapPrm]).toEqual([left, left]);
    }
  });

  it.each(["root", "no-such-user", "", "x\ny"])("cannot become %j", async (user) => {
    expect(await drop(user, "none")).toEqual({ failed: "INVALID_ARGUMENT" });
  });

  it("that serves goes on serving, and its server threads were never root", async () => {
    const server = spawn(NODE, [CLI, "serve", "--listen", "127.0.0.1:0", "--stratum", "2", "--user", "nobody", "--workers", "2", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const line = await new Promise<string>((resolve) => server.stdout.once("data", (data: Buffer) => resolve(String(data))));
      const { port } = (JSON.parse(line) as { addresses: [{ port: number }] }).addresses[0];
      expect((await built.query(`127.0.0.1:${port}`)).stratum).toBe(2);
      const tasks = readdirSync(`/proc/${server.pid}/task`).map((task) => readFileSync(`/proc/${server.pid}/task/${task}/status`, "utf8"));
      for (const text of tasks) {
        expect(text).toMatch(new RegExp(`^Uid:\\s+${NOBODY}\\s+${NOBODY}\\s+${NOBODY}\\s+${NOBODY}$`, "m"));
        expect(text).toMatch(/^CapEff:\s+0+$/m);
      }
    } finally {
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGTERM");
      expect(await ended).toBe(0);
    }
  });
});
