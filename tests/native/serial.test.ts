// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Serial lines on every runtime: a receiver on a pseudo-terminal, at any speed, with FFI and with stty, unplugged and plugged
 * in again. Runs what is built.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, describe, expect, it } from "vitest";
import { load } from "../../hosts/native/ffi-koffi.ts";
import { bindDevices, kernelLayer, O_NOCTTY, O_NONBLOCK, O_RDWR } from "../../hosts/native/device.ts";
import { configureLine, TCGETS2, TERMIOS2, TERMIOS2_OCTETS } from "../../hosts/native/termios.ts";
import { RUNS, missing, type RuntimeRun } from "../contract/runtimes.ts";
import { COMMAND, eventually, freshDirectory, titled, whySkipped } from "../support/peers.ts";
import { openLine, receiver } from "../support/receiver.ts";

const LATE = 0.1;
const skipped = whySkipped(["socat", "stty"]) ?? (existsSync(COMMAND) ? undefined : "skipped: needs a build");
const directories: string[] = [];
afterAll(() => directories.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

interface Told {
  readonly ready?: boolean;
  readonly closed?: boolean;
  readonly time?: string;
  readonly received?: string;
  readonly state?: string;
  readonly message?: string;
}

/** The child on a runtime; what it has told so far. */
function start({ command, flags }: RuntimeRun, path: string, baud: string, means: string) {
  const child = spawn(command, [...flags, "tests/native/serial-child.mjs", path, baud, means], { stdio: ["pipe", "pipe", "pipe"] });
  const told: Told[] = [];
  let errors = "";
  child.stderr.on("data", (data) => (errors += String(data)));
  createInterface(child.stdout).on("line", (line) => told.push(JSON.parse(line) as Told));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const samples = () => told.filter(({ time }) => time !== undefined).map(({ time, received }) => [BigInt(time!), BigInt(received!)] as const);
  return { child, told, samples, errors: () => errors, ended };
}

const RUNTIMES = [
  ...RUNS.filter(({ name }) => /^Node \S+ with koffi|^Deno with FFI|^Bun with FFI/.test(name)).map((run) => [run.name, run, "native"] as const),
  ...RUNS.filter(({ name }) => /^Node 20\S* with koffi|^Deno with FFI|^Bun with FFI/.test(name)).map((run) => [`${run.name.split(" with ")[0]} with stty`, run, "portable"] as const),
];

describe.skipIf(skipped)(titled("a receiver on a serial line", skipped), () => {
  it.each(RUNTIMES)("is read by %s, and again after it was unplugged", async (_, run, means) => {
    const why = missing(run);
    if (why) return console.warn(`SKIPPED: ${why}`);
    const directory = freshDirectory();
    directories.push(directory);
    const line = await openLine(directory);
    const running = start(run, line.path, "9600", means);
    try {
      const feed = receiver([line], LATE);
      await eventually(`three samples, ${running.errors()}`, () => (running.samples().length >= 3 ? true : undefined));
      for (const [time, received] of running.samples()) {
        expect(time % 1_000_000_000n).toBe(0n);
        expect(Number(received - time) / 1e9).toBeGreaterThan(LATE - 0.02);
        expect(Number(received - time) / 1e9).toBeLessThan(LATE + 0.85);
      }
      // Whoever waits for a processor stamps late: one of three did not.
      expect(Math.min(...running.samples().map(([time, received]) => Number(received - time) / 1e9))).toBeLessThan(LATE + 0.3);
      feed[Symbol.dispose]();
      await line.unplug();
      await eventually("the line to be missed", () => (running.told.some(({ state }) => state === "waiting" && running.samples().length >= 3) && running.told.at(-1)!.message?.includes(basename(line.path)) ? true : undefined));
      const before = running.samples().length;
      const again = await openLine(dirname(line.path), basename(line.path));
      using _feed = receiver([again], LATE);
      await eventually("a sample of the new line", () => (running.samples().length > before ? true : undefined));
      running.child.stdin.end("stop\n");
      expect(await running.ended, running.errors()).toBe(0);
      expect(running.told.at(-1)).toEqual({ closed: true });
      await again.unplug();
    } finally {
      running.child.kill("SIGKILL");
      await line.unplug();
    }
  });

  it("that is no line is said to be none", async () => {
    const running = start(RUNS[0]!, "/dev/null", "-", "native");
    const told = await eventually("a complaint", () => running.told.find(({ message }) => message?.includes("/dev/null: ")));
    expect(told.message).toMatch(/expected a serial line|ENOTTY/);
    running.child.stdin.end("stop\n");
    expect(await running.ended).toBe(0);
  });
});

const ffi = process.platform === "linux" ? await load() : undefined;
const libc = ffi && bindDevices(ffi);

describe.skipIf(skipped || !libc)(titled("a line's settings", skipped ?? (libc ? undefined : "skipped: needs koffi")), () => {
  it.each([4800, 9600, 38400, 115200, 12345, 250_000])("are raw, and of %i bit/s", async (baud) => {
    const directory = freshDirectory();
    directories.push(directory);
    await using line = await openLine(directory);
    const layer = kernelLayer(libc!);
    // From the worst that a line may be in.
    execFileSync("stty", ["-F", line.path, "sane", "echo", "icanon", "300"]);
    const device = configureLine(layer, line.path, baud);
    const fd = layer.open(line.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    const settings = new Uint8Array(TERMIOS2_OCTETS);
    layer.ioctl(fd, TCGETS2, settings);
    layer.close(fd);
    const view = new DataView(settings.buffer);
    expect([view.getUint32(TERMIOS2.ispeed, true), view.getUint32(TERMIOS2.ospeed, true)]).toEqual([baud, baud]);
    const { stdout } = { stdout: execFileSync("stty", ["-F", line.path, "-a"], { encoding: "utf8" }) };
    for (const setting of ["-icanon", "-echo", "-isig", "-ixon", "-icrnl", "-opost", "cs8", "-parenb", "-cstopb", "clocal", "cread", "-crtscts", "min = 1", "time = 0"]) {
      expect(stdout).toContain(setting);
    }
    device.close();
    device.close();
  });
});
