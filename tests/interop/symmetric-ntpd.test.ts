// SPDX-License-Identifier: MIT OR Apache-2.0
/** Classic ntpd as peer, live over a cable, as it insists on port 123 on both sides: what each of the two says of the other. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileURLToPath } from "node:url";
import { Cable } from "../support/cable.ts";
import { Namespace, Peer, eventually, freshDirectory, run, titled, whySkipped, writeLines } from "../support/peers.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["ntpd-classic", "ntpq-classic", "chronyd", "ip", "nsenter", "unshare"], { root: true });
const HERE = "10.98.0.1";
const THERE = "10.98.0.2";
/** Where we learn the time ourselves: an address more at our end of the cable. */
const TEACHER = "10.98.0.3";
/** The least that ntpd can poll is 8 s, and it wants a few packets before it trusts a source; not so with this. */
const AT_ONCE = "tos maxdist 16";
const FAST = "minpoll 3 maxpoll 3";
/** Both speak every 8 s, up to half a second later each time: two proven answers take 25 s, and more where one is lost. */
const PATIENCE_MS = 100_000;
const BUILT = fileURLToPath(new URL("../../dist/node/index.js", import.meta.url));

interface SourceState {
  /** The whole clock. */
  readonly synchronised: boolean;
  readonly used: number;
  readonly sent: number;
  readonly stratum: number;
  readonly offset: number;
  readonly selection: string;
  readonly lastProblems: readonly { readonly test: string }[];
}

describe.skipIf(skipped)(titled("classic ntpd is our peer", skipped), () => {
  let cable: Cable;
  let started: Peer[];
  beforeEach(async () => {
    started = [];
    cable = await Cable.lay([HERE, THERE], { more: [TEACHER] });
    const directory = freshDirectory();
    const file = writeLines(directory, "chrony.conf", ["port 123", `bindaddress ${TEACHER}`, "cmdport 0", "bindcmdaddress /", `pidfile ${directory}/c.pid`, "allow", "local stratum 1"]);
    start("chronyd", ["-x", "-d", "-U", "-u", "root", "-f", file], cable.here, directory);
  });
  afterEach(async () => {
    await Promise.all(started.map((peer) => peer.stop()));
    await cable?.[Symbol.asyncDispose]();
  });

  function start(program: string, args: readonly string[], namespace: Namespace, directory?: string): Peer {
    const peer = new Peer(program, args, { namespace, ...(directory ? { owns: [directory] } : {}) });
    started.push(peer);
    return peer;
  }

  function startNtpd(lines: readonly string[]): Peer {
    const directory = freshDirectory();
    const file = writeLines(directory, "ntp.conf", ["restrict default", AT_ONCE, ...lines]);
    return start("ntpd-classic", ["-n", "-c", file], cable.there, directory);
  }

  /** Our clock in a process of its own, with ntpd as its peer and the server beside it; how it sees ntpd. */
  async function startClock(): Promise<{ peer: Peer; state(): SourceState | undefined }> {
    const script = `
      import { startClock } from ${JSON.stringify(BUILT)};
      const sources = [{ source: "${TEACHER}", minPoll: 0, maxPoll: 0 }, { source: "${THERE}", mode: "symmetric", minPoll: 3, maxPoll: 3 }];
      const clock = await startClock({ timeout: 0, peering: { addresses: ["${HERE}"] }, sources });
      setInterval(() => {
        const { used, sent, stratum, offset, selection, lastProblems } = clock.state.sources[1];
        console.log(JSON.stringify({ synchronised: clock.state.synchronised, used, sent, stratum, offset, selection, lastProblems }));
      }, 250);
    `;
    const peer = start(process.execPath, ["--input-type=module", "-e", script], cable.here);
    const state = () => {
      const line = peer.stdout.slice(0, peer.stdout.lastIndexOf("\n")).split("\n").at(-1);
      return line?.startsWith("{") ? (JSON.parse(line) as SourceState) : undefined;
    };
    // Where the peer is heard before the server has told its burst, the start waits for four samples of it as well.
    await eventually("our clock to know the time", () => state()?.synchronised || undefined, peer, PATIENCE_MS);
    return { peer, state };
  }

  /** What ntpd says of its n-th association, by name. */
  async function variables(nth: number): Promise<ReadonlyMap<string, string>> {
    const { stdout } = await run("ntpq-classic", ["-n", "-c", "associations", "-c", `rv &${nth}`, "127.0.0.1"], { namespace: cable.there });
    const condition = [...stdout.matchAll(/^ *\d+ +\d+ +[0-9a-f]{4} +\S+ +\S+ +\S+ +(\S+)/gm)][nth - 1]?.[1] ?? "";
    return new Map([["condition", condition], ...[...stdout.matchAll(/(\w+)=("[^"]*"|[^,\n]*)/g)].map(([, name = "", value = ""]) => [name, value.trim()] as const)]);
  }

  /** What it says of us, once `enough` says so and it found our clock where it is, which is its own: ntpq counts in ms. */
  function eventuallyOfUs(what: string, ntpd: Peer, enough: (told: ReadonlyMap<string, string>) => boolean): Promise<ReadonlyMap<string, string>> {
    return eventually(what, async () => {
      const told = await variables(1);
      return told.get("srcadr") === HERE && Math.abs(Number(told.get("offset"))) < 5 && Number(told.get("delay")) < 50 && enough(told) ? told : undefined;
    }, ntpd, PATIENCE_MS);
  }

  /** Both are active, and its packets are answered. */
  function expectFaultless(told: ReadonlyMap<string, string>): void {
    expect(Object.fromEntries(told)).toMatchObject({ hmode: "1", pmode: "1", srcport: "123", stratum: "2", leap: "00", hpoll: "3", ppoll: "3", refid: TEACHER });
    expect(parseInt(told.get("reach") ?? "", 8)).toBeGreaterThan(0);
  }

  it("it selects us as its system peer, and we see the loop", async () => {
    const clock = await startClock();
    const ntpd = startNtpd([`peer ${HERE} ${FAST}`]);
    await eventuallyOfUs("ntpd to reach us", ntpd, (told) => told.get("reach") !== "000");
    const told = await eventuallyOfUs("ntpd to select us", ntpd, (now) => now.get("condition") === "sys.peer");
    expectFaultless(told);
    expect(told.get("flash")).toBe("00 ok");
    record("ntpd-classic", "peer", "`startClock` as symmetric peer", `condition ${told.get("condition")}, hmode ${told.get("hmode")}, pmode ${told.get("pmode")}, flash ${told.get("flash")}`);
    await eventually("us to see that it follows us", () => clock.state()?.lastProblems.some(({ test }) => test === "testG") || undefined, clock.peer, PATIENCE_MS);
  });

  it("each measures the other where ntpd follows a server of its own", async () => {
    // Preferred: should it follow us instead, we would see a loop, and rightly measure nothing.
    const ntpd = startNtpd([`peer ${HERE} ${FAST}`, `server ${TEACHER} iburst prefer ${FAST}`]);
    await eventually("ntpd to know the time to half a second", async () => {
      const { stdout } = await run("ntpq-classic", ["-n", "-c", "rv 0 stratum,rootdisp", "127.0.0.1"], { namespace: cable.there });
      return /stratum=2/.test(stdout) && Number(/rootdisp=([\d.]+)/.exec(stdout)?.[1]) < 500 ? true : undefined;
    }, ntpd);
    const clock = await startClock();
    const state = await eventually("two samples of ntpd", () => ((clock.state()?.used ?? 0) >= 2 ? clock.state() : undefined), clock.peer, PATIENCE_MS);
    // It has joined, and our clock is none the worse for it.
    expect(state).toMatchObject({ stratum: 2, synchronised: true });
    // Of two packets that echo the same one of its own it drops the second, so that its register may have holes.
    const told = await eventuallyOfUs("ntpd to reach us", ntpd, (now) => now.get("reach") !== "000" && now.get("flash") === "00 ok");
    expectFaultless(told);
    expect(Math.abs(state.offset)).toBeLessThan(0.005);
  });
});
