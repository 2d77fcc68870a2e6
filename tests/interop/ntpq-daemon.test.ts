// SPDX-License-Identifier: MIT OR Apache-2.0
/** ntpq, the classic one and NTPsec's, asks our daemon: its sources as it sees them, and its clock. In a network of its own. */

import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMAND, Namespace, Peer, eventually, freshDirectory, run, titled, whySkipped, writeLines } from "../support/peers.ts";
import { startServe } from "./ask.ts";
import { record } from "./record.ts";

const PROGRAMS = ["ntpq-classic", "ntpq"] as const;
const skipped = whySkipped(["ip", "nsenter", "unshare"], { root: true });
const [GOOD, LIAR, SILENT] = ["127.0.1.1", "127.0.1.2", "127.0.1.3"];

describe.skipIf(skipped)(titled("a daemon that answers ntpq", skipped), () => {
  let network: Namespace;
  let started: Peer[];
  beforeAll(async () => {
    network = await Namespace.open();
    const others = [GOOD, "127.0.1.4", "127.0.1.5"];
    started = await Promise.all(others.map((address) => startServe(["--listen", `${address}:123`, "--stratum", "1", "--refid", "GPS"], { namespace: network })));
    // Half a second ahead of the others, which are the majority.
    const script = `import { serve } from ${JSON.stringify(COMMAND.replace("cli/main.js", "node/index.js"))};
      await serve({ listen: ["${LIAR}"], stratum: 1, clock: { reading: () => ({ wallNs: 1n, timeNs: 500_000_001n, rate: 0 }) } });
      console.log("ready");`;
    const liar = new Peer(process.execPath, ["--input-type=module", "-e", script], { namespace: network });
    await eventually("the liar", () => liar.stdout.includes("ready") || undefined, liar);
    const directory = freshDirectory();
    const source = (address: string) => ["[[source]]", `address = "${address}"`, "min-poll = 0", "max-poll = 0"];
    const config = writeLines(directory, "daemon.toml", [
      ...[...others, LIAR!, SILENT!].flatMap(source),
      "[clock]", 'mode = "observe"', "[observe]", "enabled = false", "[server]", 'listen = ["127.0.0.1"]', "control = true",
    ]);
    const daemon = new Peer(process.execPath, [COMMAND, "daemon", "--config", config], { namespace: network, owns: [directory] });
    started.push(liar, daemon);
    await eventually("the daemon to be synchronised", () => daemon.said.includes("synchronised to") || undefined, daemon);
  });
  afterAll(() => Promise.all([...(started ?? []), network].map((one) => one?.[Symbol.asyncDispose]())));

  describe.each(PROGRAMS)("%s", (program) => {
    const without = whySkipped([program]);
    const ask = async (...args: string[]) => {
      const { stdout, stderr } = await run(program, ["-n", ...args, "127.0.0.1"], { namespace: network });
      expect(stderr).not.toMatch(/error|timed out|truncated|format|corrupt/i);
      return stdout;
    };

    it.skipIf(without)(titled("-p shows each source with its tally, stratum, poll, reach and offset", without), async () => {
      const cells = await eventually("the sources told apart", async () => {
        const lines = (await ask("-p")).split("\n").slice(2).filter((line) => line !== "");
        const all = new Map(lines.map((line) => [line.slice(1).trim().split(/\s+/)[0]!, [line[0]!, ...line.slice(1).trim().split(/\s+/)]] as const));
        const tallies = [...all.values()].map(([tally]) => tally).sort().join("");
        return /^ \*[+-]{2}x$/.test(tallies) && all.get(LIAR!)?.[0] === "x" ? all : undefined;
      });
      expect(cells.size).toBe(5);
      const [liar, silent] = [cells.get(LIAR!)!, cells.get(SILENT!)!];
      // tally remote refid st t when poll reach delay offset jitter: of one that tells half a second more than the others.
      expect(liar[3]).toBe("1");
      expect(Number(liar[9])).toBeGreaterThan(450);
      expect(Number(liar[9])).toBeLessThan(550);
      expect([silent[0], silent[2], silent[3], silent[5], silent[7]]).toEqual([" ", ".INIT.", "16", "-", "0"]);
      const good = cells.get(GOOD!)!;
      expect([good[2], good[6]]).toEqual([".GPS.", "1"]);
      expect(parseInt(good[7]!, 8)).toBeGreaterThan(0);
      expect(Math.abs(Number(good[9]))).toBeLessThan(50);
      record(program, "observer", `\`${program} -p\` of \`escapement daemon\``, "one *, others + or -, x for a falseticker; refid .GPS.; .INIT., st 16 and reach 0 for one that is silent");
    });

    it.skipIf(without)(titled("-c rv shows the daemon's clock", without), async () => {
      const told = Object.fromEntries([...(await ask("-c", "rv")).matchAll(/(\w+)=("[^"]*"|[^,\n]*)/g)].map(([, name = "", value = ""]) => [name, value.trim()]));
      expect(told).toMatchObject({ leap: "00", stratum: "2", refid: expect.stringMatching(/^127\.0\.1\.[145]$/), version: expect.stringContaining("escapement") });
      expect(Math.abs(Number(told["offset"]))).toBeLessThan(50);
      expect(Number(told["rootdisp"])).toBeGreaterThan(0);
      expect(Number.isFinite(Number(told["frequency"]))).toBe(true);
      record(program, "observer", `\`${program} -c rv\` of \`escapement daemon\``, "leap=00, stratum=2, refid of its source");
    });
  });
});
