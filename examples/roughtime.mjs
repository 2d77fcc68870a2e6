// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The time signed by servers that need not be trusted: three or more are asked twice, and a lie can be proven.
 *
 *     node examples/roughtime.mjs LIST        LIST: a server list in the JSON form of RFC 10049
 *
 * Prints the bounds of the present. When the answers contradict each other, the proof goes to malfeasance.json and the exit
 * status is 1.
 */

import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { lendHost } from "escapement";
import { boundsOf, measure, parseServerList } from "escapement/roughtime";

const [path] = process.argv.slice(2);
if (!path) {
  console.error("usage: node examples/roughtime.mjs LIST");
  process.exit(2);
}

const host = await lendHost();
const { servers } = parseServerList(await readFile(path, "utf8"));
const { exchanges, servers: answered, lost, report } = await measure(host, servers, { count: servers.length });

exchanges.forEach(({ answer, transport }, i) => {
  console.log(`${answered[i].name}: ${new Date(Number(answer.midpoint) * 1000).toISOString()} ± ${answer.radius} s, over ${transport}`);
});
for (const { server, error } of lost) console.log(`${server.name}: ${error.code}`);

const bounds = boundsOf(exchanges, host.clock.monotonic());
if (bounds) console.log(`the present is between ${new Date(bounds.low).toISOString()} and ${new Date(bounds.high).toISOString()}`);
else console.log("no majority agrees on the time");

if (report) {
  await writeFile("malfeasance.json", JSON.stringify(report));
  console.log("somebody lied: the proof is in malfeasance.json");
  process.exitCode = 1;
}
