// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Reads a receiver on whatever runtime this is, as built. Prints a line for each sample and each change of health.
 *
 *     node tests/native/serial-child.mjs LINE BAUD|- native|portable
 */
import process from "node:process";
import { NmeaClock } from "../../dist/refclock/index.js";

// By its path: Bun heeds tsconfig.json, in which the package's own name is Node's host.
const runtime = globalThis.Deno ? "deno" : globalThis.Bun ? "bun" : "node";
const { lendHost } = await import(`../../dist/${runtime}/index.js`);
const [path, baud, means] = process.argv.slice(2);
const host = await lendHost({ native: means === "native" });
const clock = new NmeaClock(host.devices.openSerial, { path, dispersion: 0.05, ...(baud === "-" ? {} : { baud: Number(baud) }) });
let told = "";
const timer = setInterval(() => {
  const { state, message } = clock.health;
  if (`${state} ${message}` !== told) console.log(JSON.stringify({ state, message }));
  told = `${state} ${message}`;
}, 50);
process.stdin.on("data", () => {
  clearInterval(timer);
  clock.close();
  process.stdin.destroy();
});
console.log(JSON.stringify({ ready: true, now: String(host.clock.now()) }));
for await (const { timeNs, receivedNs } of clock) console.log(JSON.stringify({ time: String(timeNs), received: String(receivedNs) }));
console.log(JSON.stringify({ closed: true }));
