// SPDX-License-Identifier: MIT OR Apache-2.0
/** Classic ntpd as manycast server, over a cable: our clock asks the group, finds it and follows it. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fileURLToPath } from "node:url";
import { cableOfTests } from "../support/cable.ts";
import { Peer, eventually, freshDirectory, run, titled, whySkipped, writeLines } from "../support/peers.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["ntpd-classic", "ntpq-classic", "chronyd", "ip", "nsenter", "unshare"], { root: true });
const HERE = "10.98.0.1";
const THERE = "10.98.0.2";
/** Whom ntpd follows: an address more at our end of the cable. It hears no group. */
const TEACHER = "10.98.0.3";
const GROUP = "224.0.1.1";
/** Of a link's own groups ntpd hears nothing: it binds to them without their zone. */
const GROUP6 = "ff05::101";
const BUILT = fileURLToPath(new URL("../../dist/node/index.js", import.meta.url));

interface State {
  readonly synchronised: boolean;
  readonly sources: readonly { readonly source: string; readonly used: number; readonly stratum: number; readonly offset: number; readonly selection: string }[];
}

describe.skipIf(skipped)(titled("classic ntpd is a manycast server", skipped), () => {
  const cable = cableOfTests([HERE, THERE], { more: [TEACHER], groups: ["here", "there"] });
  let ntpd: Peer;
  let chronyd: Peer;
  beforeAll(async () => {
    const directory = freshDirectory();
    const conf = writeLines(directory, "chrony.conf", ["port 123", `bindaddress ${TEACHER}`, "cmdport 0", "bindcmdaddress /", `pidfile ${directory}/c.pid`, "allow", "local stratum 1"]);
    chronyd = new Peer("chronyd", ["-x", "-d", "-U", "-u", "root", "-f", conf], { namespace: cable.here, owns: [directory] });
    const place = freshDirectory();
    const lines = [
      "restrict default", "disable auth", `server ${TEACHER} iburst minpoll 3 maxpoll 3`, `manycastserver ${GROUP}`, `manycastserver ${GROUP6}`,
    ];
    ntpd = new Peer("ntpd-classic", ["-n", "-c", writeLines(place, "ntp.conf", lines)], { namespace: cable.there, owns: [place] });
    await eventually("ntpd to follow its server", async () => {
      const { stdout } = await run("ntpq-classic", ["-n", "-c", "rv 0 stratum,rootdisp", "127.0.0.1"], { namespace: cable.there });
      // Its first packets say that it is further off than a second.
      return /stratum=2/.test(stdout) && Number(/rootdisp=([\d.]+)/.exec(stdout)?.[1]) < 500 ? true : undefined;
    }, ntpd);
  });
  afterAll(() => Promise.all([ntpd, chronyd].map((peer) => peer?.stop())));

  it.each([["native sockets", GROUP, {}], ["the runtime's own sockets", GROUP, { NODE_OPTIONS: "--no-addons" }], ["IPv6", `[${GROUP6}%cable]`, {}]])("%s", async (_, group, env) => {
    const script = `
      import { startClock } from ${JSON.stringify(BUILT)};
      const clock = await startClock({ timeout: 0, sources: [{ source: ${JSON.stringify(group)}, mode: "manycast" }] });
      setInterval(() => {
        const { synchronised, sources } = clock.state;
        console.log(JSON.stringify({ synchronised, sources: sources.map(({ source, used, stratum, offset, selection }) => ({ source, used, stratum, offset, selection })) }));
      }, 250);
    `;
    await using clock = new Peer(process.execPath, ["--input-type=module", "-e", script], { namespace: cable.here, env });
    const state = await eventually("our clock to follow what it found", () => {
      const line = clock.stdout.slice(0, clock.stdout.lastIndexOf("\n")).split("\n").at(-1);
      const now = line?.startsWith("{") ? (JSON.parse(line) as State) : undefined;
      return now?.synchronised && now.sources[0]!.used >= 4 && now.sources[0]!.selection === "survivor" && Math.abs(now.sources[0]!.offset) < 0.005 ? now : undefined;
    }, clock);
    expect(state.sources).toMatchObject([{ stratum: 2, selection: "survivor" }]);
    if (group === GROUP) expect(state.sources[0]!.source).toBe(`${THERE}:123`);
    // What it says of who asked it: clients (m 3) at our end.
    const { stdout } = await run("ntpq-classic", ["-n", "-c", "mrulist", "127.0.0.1"], { namespace: cable.there });
    record("ntpd-classic", "manycast server", `\`startClock\` asks a group: ${_}`, "mrulist: mode 3, version 4");
    expect(stdout).toMatch(new RegExp(`\\. 3 4 +\\d+ +\\d+ (${HERE.replaceAll(".", "\\.")}|fe80::\\S+)$`, "m"));
  });
});
