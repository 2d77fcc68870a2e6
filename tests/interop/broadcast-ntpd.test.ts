// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement serve` says the time unasked, to a network and to groups of both families; classic ntpd listens at the other end
 * of a cable, asks once how long our packets take, and follows. Of today's programs only it still can. Its clock is a fake.
 *
 * All cables are laid at once, as ntpd takes half a minute to make up its mind.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cable } from "../support/cable.ts";
import { Peer, eventually, freshDirectory, run, titled, whySkipped, writeLines } from "../support/peers.ts";
import { withoutClockCalls } from "../support/no-clock.ts";
import { startServe } from "./ask.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["ntpd-classic", "ntpq-classic", "tshark", "cc", "ip", "nsenter", "unshare"], { root: true });
const HERE = "10.98.0.1";
const THERE = "10.98.0.2";
const EVERYBODY = "10.98.0.255";
const GROUP = "224.0.1.1";
/** Of a link's own groups ntpd hears nothing: it binds to them without their zone. */
const GROUP6 = "ff05::101";
const [HERE6, THERE6] = ["fd00:98::1", "fd00:98::2"];
/** The least that ntpd takes, s. */
const INTERVAL = 8;
/** A broadcast, eight exchanges that are two seconds apart, and the broadcasts after them; all on a crowded machine. */
const PATIENCE_MS = 100_000;
/** What both may be apart on one machine, by stamps of processes that wait for a processor, ms. */
const NEAR_MS = 20;

interface Case {
  readonly to: string;
  readonly ttl: number;
  readonly client: readonly string[];
  readonly from: string;
}

const OPEN = "disable auth";
const CASES = {
  "broadcasts": { to: EVERYBODY, ttl: 1, client: [OPEN, "broadcastclient"], from: HERE },
  "an IPv4 group": { to: GROUP, ttl: 5, client: [OPEN, `multicastclient ${GROUP}`], from: HERE },
  "an IPv6 group": { to: GROUP6, ttl: 7, client: [OPEN, `multicastclient ${GROUP6}`], from: HERE6 },
  "broadcasts, and wants a key": { to: EVERYBODY, ttl: 1, client: ["broadcastclient"], from: HERE },
} as const satisfies Record<string, Case>;

interface Listening extends AsyncDisposable {
  readonly ntpd: Peer;
  readonly wire: Peer;
  ask(...commands: string[]): Promise<string>;
}

describe.skipIf(skipped)(titled("classic ntpd listens to escapement serve", skipped), () => {
  const cables = new Map<string, Listening>();
  beforeAll(async () => {
    for (const [name, one] of Object.entries(CASES)) cables.set(name, await lay(one));
  });
  afterAll(() => Promise.all([...cables.values()].map((cable) => cable[Symbol.asyncDispose]())));

  it.each(["broadcasts", "an IPv4 group", "an IPv6 group"] as const)("%s: it follows us, and asked us for the delay first", async (name) => {
    const { ask, ntpd } = cables.get(name)!;
    const told = await eventually("ntpd to select us", async () => {
      const now = variables(await ask("associations", "rv &1"));
      return now["hmode"] === "6" && now["condition"] === "sys.peer" ? now : undefined;
    }, ntpd, PATIENCE_MS);
    expect(told).toMatchObject({ srcadr: CASES[name].from, srcport: "123", hmode: "6", pmode: "5", stratum: "2", leap: "00", refid: "192.0.2.9", hpoll: "3", flash: "00 ok" });
    expect(parseInt(told["reach"] ?? "", 8)).toBeGreaterThan(0);
    expect(Math.abs(Number(told["offset"]))).toBeLessThan(NEAR_MS);
    const system = variables(await ask("rv 0 stratum,peer"));
    expect(Number(system["peer"])).toBeGreaterThan(0);
    record("ntpd-classic", "client", `\`escapement serve --broadcast\`: ${name}`, "sys.peer, hmode 6, pmode 5, stratum 2, flash 00 ok");
  });

  it("unsigned broadcasts tell nothing to one that wants a key", async () => {
    const { ask, ntpd } = cables.get("broadcasts, and wants a key")!;
    await eventually("ntpd to have turned away two broadcasts", async () => (Number(/^restricted:\s+(\d+)/m.exec(await ask("sysstats"))?.[1]) >= 2 ? true : undefined), ntpd, PATIENCE_MS);
    // remote address, mode 5, version 4.
    expect(await ask("mrulist")).toMatch(/\. 5 4 +\d+ +123 10\.98\.0\.1$/m);
    expect(await ask("associations")).toContain("No association");
    expect(variables(await ask("rv 0 stratum"))["stratum"]).toBe("16");
  });

  it.each(["broadcasts", "an IPv4 group", "an IPv6 group"] as const)("%s: they may pass as many networks as they were told to, and leave by the interface that was named", async (name) => {
    const { wire } = cables.get(name)!;
    const { to, ttl, from } = CASES[name];
    const seen = await eventually("tshark to see two", () => {
      const lines = wire.stdout.split("\n").filter((line) => line.includes(`;${to};`));
      return lines.length >= 2 ? lines : undefined;
    }, wire);
    // flags: leap 0, version 4, mode 5.
    expect(new Set(seen)).toEqual(new Set([[from, to, ttl, 123, "0x25"].join(";")]));
    record("tshark", "observer", `\`escapement serve --broadcast\`: ${name}`, `ntp.flags 0x25, ${to.includes(":") ? "ipv6.hlim" : "ip.ttl"} ${ttl}`);
  });
});

/** A cable, our server at one end, ntpd and tshark at the other. */
async function lay({ to, ttl, client }: Case): Promise<Listening> {
  // Ours has no route to groups: it is told the interface.
  const cable = await Cable.lay([HERE, THERE], { everybody: EVERYBODY, six: [HERE6, THERE6], groups: ["there"] });
  const directory = freshDirectory();
  const file = writeLines(directory, "ntp.conf", ["restrict default", "tos maxdist 16", ...client]);
  const ntpd = new Peer("ntpd-classic", ["-n", "-c", file], { namespace: cable.there, owns: [directory], env: await withoutClockCalls() });
  const fields = to.includes(":") ? ["ipv6.src", "ipv6.dst", "ipv6.hlim"] : ["ip.src", "ip.dst", "ip.ttl"];
  const wire = new Peer("tshark", ["-l", "-n", "-i", "cable", "-f", "udp port 123", "-T", "fields", "-E", "separator=;", ...[...fields, "udp.dstport", "ntp.flags"].flatMap((field) => ["-e", field])], { namespace: cable.there });
  const ask = async (...commands: string[]) => (await run("ntpq-classic", ["-n", ...commands.flatMap((command) => ["-c", command]), "127.0.0.1"], { namespace: cable.there })).stdout;
  await eventually("ntpd to answer ntpq", async () => ((await ask("rv 0 stratum")).includes("stratum=") ? true : undefined), ntpd);
  const server = await startServe([
    "--listen", `${HERE}:123`, "--listen", `[${HERE6}]:123`, "--stratum", "2", "--refid", "192.0.2.9", "--broadcast", `${to},interval=${INTERVAL},ttl=${ttl},interface=cable`,
  ], { namespace: cable.here });
  return { ntpd, wire, ask, [Symbol.asyncDispose]: async () => void (await Promise.all([server.stop(), wire.stop(), ntpd.stop(), cable[Symbol.asyncDispose]()])) };
}

/** What ntpq tells, by name; of the first association its condition, too. */
function variables(text: string): Record<string, string> {
  const condition = /^ *\d+ +\d+ +[0-9a-f]{4} +\S+ +\S+ +\S+ +(\S+)/m.exec(text)?.[1] ?? "";
  return { condition, ...Object.fromEntries([...text.matchAll(/(\w+)=("[^"]*"|[^,\n]*)/g)].map(([, name = "", value = ""]) => [name, value.trim()])) };
}
