// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon as a process whose names resolve late, move and mean one server twice, and whose servers vanish and return; with
 * a table of names of its own (/etc/hosts in a mount namespace) and no DNS behind it.
 *
 * @module
 */

import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serve, type Server } from "../hosts/node/index.ts";
import { reportOf } from "../tests/support/daemon.ts";
import { COMMAND, Peer, escapement, eventually, freePort, freshDirectory, loopbackAlias, titled, whySkipped } from "../tests/support/peers.ts";
import type { SourceReport } from "./report.ts";

const built = existsSync(COMMAND);
const skipped = whySkipped(["unshare"], { root: true });
const LIMIT = 120_000;

describe.skipIf(!built || skipped)(titled("a daemon whose names and servers come and go", skipped), () => {
  const directory = freshDirectory();
  const at = (name: string) => join(directory, name);
  const [late, first, second, third, steady] = Array.from({ length: 5 }, loopbackAlias) as [string, string, string, string, string];
  const servers = new Map<string, Server>();
  let port: number;
  let daemon: Peer;

  const open = async (address: string) => void servers.set(address, await serve({ listen: [address], port, stratum: 1, workers: 0 }));
  /** In place: the file is mounted over the system's. */
  const names = (table: Record<string, readonly string[]>) =>
    writeFileSync(at("hosts"), Object.entries(table).flatMap(([name, addresses]) => addresses.map((address) => `${address} ${name}\n`)).join(""));
  const sources = () => reportOf<SourceReport[]>("sources", at("observe.sock"));
  const shown = async () => (await escapement(["sources", "--socket", at("observe.sock")])).stdout;
  const times = (text: string) => daemon.said.split(text).length - 1;
  /** Until the sources are so. */
  const seen = (what: string, is: (states: SourceReport[]) => boolean) =>
    eventually(what, async () => ((states) => (is(states) ? states : undefined))(await sources()), daemon, LIMIT);

  beforeAll(async () => {
    port = await freePort(late, first, second, third, steady);
    await Promise.all([late, first, second, third, steady].map(open));
    names({ "pool.test": [first, second], "twin.test": [steady] });
    writeFileSync(at("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    const polls = "min-poll = 0\nmax-poll = 1\n";
    const given = [`address = "late.test:${port}"`, `address = "pool.test:${port}"\npool = 2`, `address = "${steady}:${port}"`, `address = "twin.test:${port}"`];
    writeFileSync(at("daemon.toml"), `${given.map((source) => `[[source]]\n${source}\n${polls}`).join("")}[clock]\nmode = "virtual"\n[observe]\nsocket = "${at("observe.sock")}"\n`);
    const script = `mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"`;
    daemon = new Peer("unshare", ["--mount", "sh", "-c", script, directory, process.execPath, COMMAND, "daemon", "--config", at("daemon.toml")]);
    await eventually("the daemon to answer", sources, daemon);
  });

  afterAll(async () => {
    await daemon?.stop();
    await Promise.all([...servers.values()].map((server) => server.close()));
    rmSync(directory, { recursive: true, force: true });
  });

  it("says once that a name does not resolve, and shows it", async () => {
    const states = await seen("three of them to be followed", (all) => all.filter(({ state }) => state === "*" || state === "+").length === 3);
    expect(states.find(({ source }) => source.startsWith("late"))).toMatchObject({ address: null, used: 0, lastError: expect.stringContaining('could not look up "late.test"') });
    expect(await shown()).toContain('could not look up "late.test"');
    expect(times(`warning: late.test:${port}: could not look up`)).toBe(1);
  });

  it("gives one server by two names one vote, says so once, and shows it", async () => {
    const states = await seen("the twin to be told of", (all) => all.some(({ lastError }) => lastError?.startsWith("duplicate of")));
    const [twin] = states.filter(({ lastError }) => lastError?.startsWith("duplicate of"));
    expect(twin).toMatchObject({ state: "?", source: `twin.test:${port}`, lastError: `duplicate of ${steady}:${port}: a server has one vote` });
    expect(times("duplicate of")).toBe(1);
    expect(await shown()).toContain(`duplicate of ${steady}:${port}`);
  });

  it("follows a name from when it resolves, and says so once", async () => {
    names({ "late.test": [late], "pool.test": [first, second], "twin.test": [steady] });
    await seen("late.test to be followed", (all) => all.some(({ source, state }) => source.startsWith("late") && "*+".includes(state)));
    expect(times(`info: late.test:${port}: its name resolves: ${late}`)).toBe(1);
    expect(times("could not look up")).toBe(1);
  });

  it("replaces a member of a pool that has gone by one that the name has now", async () => {
    names({ "late.test": [late], "pool.test": [second, third], "twin.test": [steady] });
    await servers.get(first)!.close();
    const states = await seen("the third to be followed", (all) => all.some(({ address, state }) => address === `${third}:${port}` && "*+".includes(state)));
    expect(states.map(({ address }) => address)).not.toContain(`${first}:${port}`);
  });

  it("shows a server that has vanished as unreachable, and follows it when it is back", async () => {
    await servers.get(late)!.close();
    await seen("it to be lost", (all) => all.some(({ source, state, reach }) => source.startsWith("late") && state === "?" && reach === 0));
    await open(late);
    await seen("it to be back", (all) => all.some(({ source, state, reach }) => source.startsWith("late") && "*+".includes(state) && reach !== 0));
    expect(times("no longer synchronised")).toBe(0);
  });
});
