// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What one question costs a person: whole processes on loopback, ours, ntpdig and chronyd -Q taking turns; and a `query()`
 * inside a running process. Programs that are not installed are left out, aloud.
 */

import { spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { query, serve } from "../hosts/node/index.ts";

const RUNS = 9;

function available(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

function timeProcess(command: string, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    // With a clean status only: a program that failed quickly would look fast.
    spawn(command, args, { stdio: "ignore" }).on("error", reject).on("exit", (status) => {
      if (status === 0) resolve(performance.now() - start);
      else reject(new Error(`${command} ended with status ${status}`));
    });
  });
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

function print(name: string, values: number[]): void {
  console.log(`  ${name.padEnd(44)} ${median(values).toFixed(1).padStart(8)} ms   ${values[0]!.toFixed(1)} … ${values.at(-1)!.toFixed(1)}`);
}

await using server = await serve({ listen: ["127.0.0.1"], port: 0, stratum: 1 });
const port = server.addresses[0]!.port;
const contenders: [string, string, string[]][] = [
  ["escapement query (process)", process.execPath, ["dist/cli/main.js", "query", `127.0.0.1:${port}`]],
  ["node -e 0 (what Node itself takes)", process.execPath, ["-e", "0"]],
];
// chronyd -Q measures and exits without setting the clock.
if (available("chronyd")) {
  contenders.push(["chronyd -Q, one sample (process)", "chronyd", ["-Q", "-U", "-u", "root", "-t", "8", `server 127.0.0.1 port ${port} iburst maxsamples 1`]]);
} else console.log("left out: chronyd is not installed (npm run peers)");

// ntpdig asks port 123 only, which takes root and a loopback address whose port 123 is free.
const standard = await serve({ listen: ["127.0.0.123"], port: 123, stratum: 1 }).catch(() => undefined);
if (standard && available("ntpdig")) contenders.push(["ntpdig (process)", "ntpdig", ["-t", "2", "127.0.0.123"]]);
else console.log("left out: ntpdig, not installed or port 123 not to be had");

const times = contenders.map(() => [] as number[]);
for (let round = 0; round < RUNS; round++) {
  for (const [i, [, command, args]] of contenders.entries()) times[i]!.push(await timeProcess(command, args));
}
console.log(`\nOne question on loopback (median of ${RUNS}, least … most)`);
contenders.forEach(([name], i) => print(name, times[i]!));

const inside: number[] = [];
for (let i = 0; i < 200; i++) {
  const start = performance.now();
  await query(`127.0.0.1:${port}`);
  inside.push(performance.now() - start);
}
print("query() in a running process (median of 200)", inside);
await standard?.close();
