// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the daemon takes while it follows ten sources, each asked every 16 s: processor time and memory of the whole process
 * (Linux), beside chronyd doing the same where it is installed. Takes two minutes.
 */

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { serve, type Server } from "../hosts/node/index.ts";

const SOURCES = 10;
/** Start-up and the bursts are over after this, ms. */
const SETTLE_MS = 40_000;
const OBSERVE_MS = 64_000;
/** USER_HZ of every Linux that runs Node. */
const TICKS_PER_SECOND = 100;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Processor time in ticks (user and system), and resident memory in kB. */
function usage(pid: number): { ticks: number; memory: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { ticks: Number(fields[11]) + Number(fields[12]), memory: Number(memory) };
}

const folder = mkdtempSync(path.join(os.tmpdir(), "escapement-bench-"));
chmodSync(folder, 0o700);
const addresses = Array.from({ length: SOURCES }, (_, i) => `127.0.88.${i + 1}`);
const servers: Server[] = await Promise.all(addresses.map((address) => serve({ listen: [address], port: 0, stratum: 1 })));
const endpoints = servers.map((server) => server.addresses[0]!);
const children: [string, ChildProcess][] = [];

try {
  const config = path.join(folder, "daemon.toml");
  writeFileSync(config, [
    ...endpoints.map(({ address, port }) => `[[source]]\naddress = "${address}:${port}"\nmin-poll = 4\nmax-poll = 4\n`),
    `[clock]\nmode = "virtual"\n[observe]\nsocket = "${folder}/observe.sock"\n`,
  ].join("\n"));
  children.push(["escapement daemon", spawn(process.execPath, ["dist/cli/main.js", "daemon", "--config", config], { stdio: "ignore" })]);
  if (spawnSync("sh", ["-c", "command -v chronyd"]).status === 0) {
    const chrony = path.join(folder, "chrony.conf");
    writeFileSync(chrony, [
      ...endpoints.map(({ address, port }) => `server ${address} port ${port} minpoll 4 maxpoll 4 iburst`),
      "port 0", "cmdport 0", `bindcmdaddress ${folder}/chronyd.sock`, `pidfile ${folder}/chronyd.pid`,
    ].join("\n"));
    children.push(["chronyd", spawn("chronyd", ["-x", "-d", "-U", "-u", os.userInfo().username, "-f", chrony], { stdio: "ignore" })]);
  } else console.log("left out: chronyd is not installed (npm run peers)");
  await sleep(SETTLE_MS);
  const before = children.map(([, child]) => usage(child.pid!));
  await sleep(OBSERVE_MS);
  console.log(`\n${SOURCES} sources, a request every 16 s each, over ${OBSERVE_MS / 1000} s`);
  children.forEach(([name, child], i) => {
    const { ticks, memory } = usage(child.pid!);
    const seconds = (ticks - before[i]!.ticks) / TICKS_PER_SECOND;
    console.log(`  ${name.padEnd(20)} ${((100 * seconds * 1000) / OBSERVE_MS).toFixed(2).padStart(6)} % of a processor   ${(memory / 1024).toFixed(0).padStart(5)} MiB resident`);
  });
} finally {
  for (const [, child] of children) child.kill();
  await Promise.all(servers.map((server) => server.close()));
  rmSync(folder, { recursive: true, force: true });
}
