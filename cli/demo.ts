// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement demo`: real servers on loopback, each with a clock of its own, and a client that finds the truth.
 *
 * With arguments it asks those sources instead, like `query`. Tested in command.test.ts.
 *
 * @module
 */

import { lendHost, serve, survey, type Host, type Server, type Survey, type UdpSocket } from "#host";
import { paint, seconds } from "./format.ts";
import { run as runQuery } from "./query.ts";
import { sourceTable, verdictText } from "./report.ts";
import { command, type Command } from "./usage.ts";

const HELP = `usage: escapement demo [OPTION...]
       escapement demo [OPTION of query...] SOURCE...

Start seven NTP servers on loopback (four good, one that lies by half a second, one that sends a kiss, one silent), ask
them all and say who agrees, who lies, and what time it is. With sources it asks those instead, as query does.

  --json  one JSON document on standard output: {agreeing, consensus, entries}
  --help  this text

Exit status: 0 when a majority agrees (of sources: when one answer is usable), 1 when none does, 2 for wrong usage.`;

/** All other arguments are for `query`. */
const OWN = new Set(["--json", "--help", "-h"]);

/** A server of the demo and what is special about it. */
interface Actor {
  readonly name: string;
  readonly about: string;
  /** Its clock's error, s. */
  readonly error: number;
  readonly stratum?: number;
  readonly refid?: string;
  readonly kiss?: string;
}

const ACTORS: readonly Actor[] = [
  { name: "gps", about: "stratum 1, 20 µs off", error: 20e-6, stratum: 1, refid: "GPS" },
  { name: "atomic", about: "stratum 1, 5 µs off", error: -5e-6, stratum: 1, refid: "PTB" },
  { name: "campus", about: "stratum 2, 300 µs off", error: 300e-6, stratum: 2, refid: "192.0.2.1" },
  { name: "cellar", about: "stratum 3, 1.2 ms off", error: -1.2e-3, stratum: 3, refid: "192.0.2.7" },
  { name: "liar", about: "stratum 1, says it is sure, and is half a second off", error: 0.5, stratum: 1, refid: "GPS" },
  { name: "kisser", about: "answers everybody with RATE", error: 0, kiss: "RATE" },
];

/** What each server's own error bound is beyond its error, s: honest ones know how good they are. */
const HONEST_MARGIN = 200e-6;
/** The first packets of a process wait for the compiler; a round that nobody looks at takes that off the table. */
const WARM_UP = 0.2;
/** Long enough for loopback, short enough for a person who waits for the silent server. */
const TIMEOUT = 1.2;

export const run: Command = (args) => (args.every((argument) => OWN.has(argument)) ? runDemo(args) : runQuery(args));

const runDemo = command(HELP, { json: { type: "boolean" } } as const, async ({ values }) => {
  const host = await lendHost();
  const servers: Server[] = [];
  let silent: UdpSocket | undefined;
  try {
    for (const actor of ACTORS) servers.push(await start(actor, host));
    silent = await startSilent(host);
    const sources = [...servers, { addresses: [silent.local] }].map(({ addresses }) => `${addresses[0]?.address}:${addresses[0]?.port}`);
    await survey(sources, { timeout: WARM_UP });
    const result = named(await survey(sources, { timeout: TIMEOUT }), sources);
    if (values.json) console.log(JSON.stringify(toJson(result), null, 2));
    else print(result, host);
    return result.consensus ? 0 : 1;
  } finally {
    silent?.close();
    await Promise.all(servers.map((server) => server.close()));
  }
});

function start({ error, stratum, refid, kiss }: Actor, host: Host): Promise<Server> {
  const errorNs = BigInt(Math.round(error * 1e9));
  return serve({
    listen: ["127.0.0.1"],
    port: 0,
    clock: () => host.clock.now() + errorNs,
    // The liar is as sure of itself as a good clock.
    rootDispersion: Math.min(Math.abs(error), 2e-3) + HONEST_MARGIN,
    ...(stratum ? { stratum } : {}),
    ...(refid ? { refid } : {}),
    ...(kiss ? { kiss } : {}),
  });
}

/** A socket that takes requests and never answers. */
function startSilent(host: Host): Promise<UdpSocket> {
  return host.openUdp!({ family: 4, address: "127.0.0.1" }, { onDatagram: () => {}, onError: () => {} });
}

/** The survey with the actors' names in the place of addresses. */
function named(result: Survey, sources: readonly string[]): Survey {
  const names = [...ACTORS.map(({ name }) => name), "silent"];
  return { ...result, entries: result.entries.map((entry) => ({ ...entry, source: names[sources.indexOf(entry.source)] ?? entry.source })) };
}

function toJson({ entries, consensus, agreeing }: Survey): object {
  return {
    agreeing,
    consensus: consensus ? { offset: consensus.offset, uncertainty: consensus.uncertainty } : null,
    entries: entries.map(({ source, verdict, sample }) => ({ source, verdict, offset: sample?.offset ?? null, rootDistance: sample?.rootDistance ?? null })),
  };
}

function print(result: Survey, host: Host): void {
  console.log(paint("Seven NTP servers on loopback, each with a clock of its own:", "bold"));
  for (const { name, about } of [...ACTORS, { name: "silent", about: "takes requests and never answers" }]) console.log(`  ${name.padEnd(8)} ${about}`);
  console.log(paint("\nA client asks all of them:", "bold"));
  console.log(sourceTable(result));
  console.log(paint("\nWhat it concludes:", "bold"));
  console.log(verdictText(result, host.clock.now()));
  console.log(paint(`\nRead with ${host.clock.description}, precision ${seconds(host.clock.precision)}, on ${host.runtime} ${host.version}.`, "dim"));
  console.log(paint("Ask real servers: npm start -- time.cloudflare.com nts.netnod.se ptbtime1.ptb.de", "dim"));
}
