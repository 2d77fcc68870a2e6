// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a handshake of our own TLS takes, on loopback against a node:tls server in a process of its own: the first of this
 * process, and the median of those that follow, with the X25519 and the hybrid group, beside node:tls as client.
 *
 * The server is Node 24's from tests/runtimes, which knows ML-KEM; without it this Node's, and no hybrid.
 */

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import tls from "node:tls";
import { connectTls } from "../hosts/common/tls/connect.ts";
import type { PostQuantum } from "../hosts/common/stream.ts";
import { connectTcp } from "../hosts/node/tcp.ts";
import { issue, makeCa } from "../tests/support/pki.ts";

const HANDSHAKES = 60;
const NAME = "ntp.example";
const ca = makeCa();
const leaf = issue(ca, { dns: [NAME] });

const directory = mkdtempSync(join(tmpdir(), "escapement-bench-"));
const files = ["cert.pem", "key.pem"].map((name) => join(directory, name)) as [string, string];
writeFileSync(files[0], leaf.certificate, { mode: 0o600 });
writeFileSync(files[1], leaf.key, { mode: 0o600 });
const node24 = resolve("tests/runtimes/node_modules/node-24/bin/node");
const hybrid = existsSync(node24);
const server = spawn(hybrid ? node24 : process.execPath, [resolve("tests/interop/tls-server.mjs"), ...files], { stdio: ["pipe", "pipe", "inherit"] });
const line = await new Promise<string>((listening) => createInterface(server.stdout).once("line", listening));
const { port } = JSON.parse(line) as { port: number };
server.stdout.resume();

async function ours(pq: PostQuantum): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  const tcp = await connectTcp({ address: "127.0.0.1", port }, signal);
  const options = { serverName: NAME, alpn: ["ntske/1"], ca: ca.certificate, pq, signal };
  (await connectTls(tcp, options, (bytes) => crypto.getRandomValues(bytes), Date.now)).close();
}

function theirs(): Promise<void> {
  return new Promise((done, failed) => {
    const socket = tls.connect({ host: "127.0.0.1", port, servername: NAME, ca: ca.certificate, ALPNProtocols: ["ntske/1"] }, () => {
      socket.destroy();
      done();
    });
    socket.once("error", failed);
  });
}

async function measure(name: string, handshake: () => Promise<void>): Promise<void> {
  const taken: number[] = [];
  for (let i = 0; i < HANDSHAKES; i++) {
    const start = performance.now();
    await handshake();
    taken.push(performance.now() - start);
  }
  const [first = 0, ...rest] = taken;
  const median = rest.sort((a, b) => a - b)[rest.length >> 1] ?? 0;
  const [a, b, c] = [first.toFixed(1).padStart(6), median.toFixed(2).padStart(6), (1000 / median).toFixed(0).padStart(4)];
  console.log(`${name.padEnd(28)} first ${a} ms   then ${b} ms   ${c} a second`);
}

try {
  if (hybrid) await measure("ours, X25519MLKEM768", () => ours("require"));
  await measure("ours, X25519", () => ours("off"));
  await measure("node:tls of this Node", theirs);
} finally {
  server.kill();
  rmSync(directory, { recursive: true, force: true });
}
