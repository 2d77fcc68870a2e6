// SPDX-License-Identifier: MIT OR Apache-2.0
/** chronyd broadcasts, and sends to a group, in a network of its own; our clock listens at the other end of the cable. */

import { describe, expect, it } from "vitest";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cableOfTests } from "../support/cable.ts";
import { Peer, eventually, freshDirectory, run, titled, whySkipped, writeLines } from "../support/peers.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc", "ip", "nsenter", "unshare"], { root: true });
const HERE = "10.98.0.1";
const THERE = "10.98.0.2";
const EVERYBODY = "10.98.0.255";
const GROUP = "224.0.1.1";
const PORT = 1123;
const BUILT = fileURLToPath(new URL("../../dist/node/index.js", import.meta.url));

interface State {
  readonly synchronised: boolean;
  readonly offset: number;
  readonly uncertainty: number;
  readonly sources: readonly { readonly used: number; readonly sent: number; readonly reach: number; readonly offset: number; readonly selection: string; readonly lastError?: string }[];
}

describe.skipIf(skipped)(titled("chronyd broadcasts", skipped), () => {
  const cable = cableOfTests([HERE, THERE], { everybody: EVERYBODY, groups: ["here", "there"] });

  async function startChronyd(lines: readonly string[]): Promise<{ peer: Peer; ask(command: string): Promise<string> }> {
    const directory = freshDirectory();
    const socket = join(directory, "c.sock");
    const file = writeLines(directory, "chrony.conf", [
      `port ${PORT}`, `bindaddress ${THERE}`, "cmdport 0", `bindcmdaddress ${socket}`, `pidfile ${directory}/c.pid`, "allow", "local stratum 1", ...lines,
    ]);
    const peer = new Peer("chronyd", ["-x", "-d", "-U", "-u", "root", "-f", file], { namespace: cable.there, owns: [directory] });
    const ask = async (command: string) => (await run("chronyc", ["-h", socket, "-n", command])).stdout;
    await eventually("chronyd to answer chronyc", async () => ((await ask("activity")).includes("sources") ? true : undefined), peer);
    return { peer, ask };
  }

  /** Our clock in a process of its own, that prints its state each second. */
  function listen(options: object): { peer: Peer; state(): State | undefined } {
    const script = `
      import { startClock } from ${JSON.stringify(BUILT)};
      const clock = await startClock({ timeout: 0, sources: [${JSON.stringify(options)}] });
      setInterval(() => { const { synchronised, offset, uncertainty, sources } = clock.state; console.log(JSON.stringify({ synchronised, offset, uncertainty, sources }, (_, value) => typeof value === "bigint" ? String(value) : value)); }, 250);
    `;
    const peer = new Peer(process.execPath, ["--input-type=module", "-e", script], { namespace: cable.here });
    const state = () => {
      const line = peer.stdout.trim().split("\n").at(-1);
      return line?.startsWith("{") ? (JSON.parse(line) as State) : undefined;
    };
    return { peer, state };
  }

  const source = `${THERE}:${PORT}`;

  it.each([
    ["to everybody", EVERYBODY, { port: PORT }],
    ["to a group", GROUP, { port: PORT, group: GROUP, interface: HERE }],
  ])("%s: one volley tells the delay, and from then on we only listen", async (_, to, where) => {
    const chronyd = await startChronyd([`broadcast 1 ${to} ${PORT}`]);
    const clock = listen({ source, mode: "broadcast", listen: where });
    try {
      const volley = await eventually("six replies", () => (clock.state()?.sources[0] && clock.state()!.sources[0]!.used >= 6 ? clock.state()! : undefined), clock.peer);
      const sent = Math.max(6, volley.sources[0]!.sent);
      const settled = ({ synchronised, uncertainty, sources: [one] }: State) =>
        synchronised && uncertainty < 0.01 && one!.selection === "survivor" && Math.abs(one!.offset) < 500e-6;
      const later = await eventually("eight broadcasts more, and an offset near zero", () => (clock.state()!.sources[0]!.used >= sent + 8 && settled(clock.state()!) ? clock.state()! : undefined), clock.peer);
      expect(later.sources[0]!.sent, "nothing is sent after the volley").toBeLessThanOrEqual(sent + 1);
      const told = await chronyd.ask("serverstats");
      expect(Number(/NTP packets received\s+: (\d+)/.exec(told)?.[1]), told).toBe(later.sources[0]!.sent);
      record("chronyd", "broadcaster", `\`startClock\` listens to broadcasts ${_}`, "NTP packets received: those of the first volley and no more");
    } finally {
      await clock.peer.stop();
      await chronyd.peer.stop();
    }
  });

  it("of another server than the one configured are not heard, nor is it asked", async () => {
    const chronyd = await startChronyd([`broadcast 1 ${EVERYBODY} ${PORT}`]);
    const clock = listen({ source: `10.98.0.77:${PORT}`, mode: "broadcast", listen: { port: PORT } });
    try {
      await eventually("a state", clock.state, clock.peer);
      await new Promise((resolve) => setTimeout(resolve, 4000));
      expect(clock.state()!.sources[0]).toMatchObject({ used: 0, sent: 0 });
      expect(await chronyd.ask("serverstats")).toMatch(/NTP packets received\s+: 0/);
    } finally {
      await clock.peer.stop();
      await chronyd.peer.stop();
    }
  });
});
