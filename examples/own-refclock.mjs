// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A reference clock of one's own: whatever gives samples is one. Here a program that prints the time, a line each:
 *
 *     node examples/own-refclock.mjs [COMMAND [ARGUMENT...]]
 *     node examples/own-refclock.mjs sh -c 'while date +%s.%N; do sleep 1; done'        the default
 *
 * Lines are seconds since 1970. The clock follows them, as stratum 1 by "CMD", and its bound tells what they are worth.
 * Ends after 60 s; SECONDS=600 in the environment for longer.
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { lendHost, startClock } from "escapement";

const given = process.argv.slice(2);
const [command, ...args] = given.length > 0 ? given : ["sh", "-c", "while date +%s.%N; do sleep 1; done"];
const host = await lendHost();

class CommandClock {
  refid = "CMD";
  stratum = 0;
  /** log2 s between measurements. */
  poll = 2;
  precision = host.clock.precision;
  description = command;
  health = { state: "waiting", message: "it has not told the time yet" };
  #child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });

  async *[Symbol.asyncIterator]() {
    this.#child.once("error", (error) => (this.health = { state: "bad", message: error.message }));
    for await (const line of createInterface(this.#child.stdout)) {
      // First of all: the clock is compared with what it reads now.
      const receivedNs = host.clock.now();
      const timeNs = nanoseconds(line);
      if (timeNs === undefined) {
        this.health = { state: "bad", message: `expected seconds since 1970, got "${line}"` };
        continue;
      }
      this.health = { state: "good", message: "" };
      // What no averaging takes away: nobody knows how long the line was under way.
      yield { timeNs, receivedNs, dispersion: 0.01 };
    }
  }

  close() {
    this.#child.kill();
  }
}

/** "1700000000.25" exactly: a double would round it. */
function nanoseconds(text) {
  const match = /^(\d{1,10})(?:\.(\d{1,9})\d*)?$/.exec(text.trim());
  return match ? BigInt(match[1]) * 1_000_000_000n + BigInt((match[2] ?? "").padEnd(9, "0")) : undefined;
}

const sources = [{ mode: "refclock", source: "command", clock: new CommandClock(), tuning: { offset: 0.002 } }];
const clock = await startClock({ sources, timeout: 10 }).catch((error) => {
  // It says what became of the samples, or why there were none.
  console.log(error.message);
  process.exit(1);
});
const tell = () => {
  const { stratum, refid, offset, uncertainty } = clock.state;
  console.log(`stratum ${stratum} by ${refid}, offset ${offset.toFixed(6)} s, ± ${uncertainty.toFixed(6)} s: ${clock.now().toISOString()}`);
};
tell();
clock.addEventListener("change", tell);
setTimeout(() => clock.close(), Number(process.env.SECONDS ?? 60) * 1000);
