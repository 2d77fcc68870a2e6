// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Network cards asked to stamp for a server, live, where there are none: loopback and virtual cables have no card, so that the
 * fall-back to the kernel's stamps is real. Over a card that stamps, a fake: hosts/native/server-cards.test.ts.
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { describe, expect, it } from "vitest";
import { serve } from "../../hosts/node/index.ts";
import * as linux from "../../hosts/native/linux.ts";
import type { CardMeans } from "../../hosts/native/cards.ts";
import { Card } from "../support/card.ts";
import { Cable } from "../support/cable.ts";
import { COMMAND, Peer, eventually, run, titled, whySkipped } from "../support/peers.ts";
import { built, lacking, libc } from "./built.ts";
import { option, sockets } from "./sockets.ts";

const REASON = "lo has no clock of its own";
/** Not Date.now(): between two of its milliseconds an answer would seem to have taken longer than the way there and back. */
const microseconds = () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;

/** What the first socket asks of the kernel: a stamp of its own, those of cards, and by which interface, over IPv4. */
function asked(wanted: string | undefined, means?: CardMeans): { own: number; cards: number; interface: number; told: string[]; found: readonly string[] } {
  const told: string[] = [];
  const opened = sockets(wanted === undefined ? {} : { cards: { wanted, tell: (reason: string) => told.push(reason) } }, { means });
  const fd = opened.sets[0]![0]!;
  const { SOL_SOCKET, SO_TIMESTAMPNS, SO_TIMESTAMPING, SOL_IP, IP_PKTINFO } = linux;
  const found = { own: option(fd, SOL_SOCKET, SO_TIMESTAMPNS), cards: option(fd, SOL_SOCKET, SO_TIMESTAMPING), interface: option(fd, SOL_IP, IP_PKTINFO), told, found: opened.cards!.map(({ name }) => name) };
  opened.close();
  return found;
}

describe.skipIf(!libc)("a server's socket asks", () => {
  const alone = { own: 1, cards: 0, interface: 0, found: [] };

  it("for the kernel's stamp alone where no card was asked for, and where it cannot stamp", () => {
    expect(asked(undefined)).toEqual({ ...alone, told: [] });
    expect(asked("lo")).toEqual({ ...alone, told: [REASON] });
    expect(asked("nowhere0")).toEqual({ ...alone, told: ["there is no interface nowhere0"] });
  });

  it("for a card's and the kernel's by one option, never by both, and for nothing that is sent", () => {
    const card = new Card({ name: "lo" });
    const means = { layer: card, names: () => ["lo"], indexOf: () => 1, nameOf: () => "lo", nowMs: () => 0 };
    const { SOF_TIMESTAMPING_RX_HARDWARE: rx, SOF_TIMESTAMPING_RX_SOFTWARE: own, SOF_TIMESTAMPING_SOFTWARE: soft, SOF_TIMESTAMPING_RAW_HARDWARE: raw } = linux;
    const { SOF_TIMESTAMPING_OPT_PKTINFO: info, SOF_TIMESTAMPING_OPT_CMSG: cmsg, SOF_TIMESTAMPING_OPT_TX_SWHW: both } = linux;
    expect(asked("lo", means)).toEqual({ own: 0, cards: rx | own | soft | raw | info | cmsg | both, interface: 1, told: [], found: ["lo"] });
    expect(card.open_.size).toBe(0);
  });
});

describe.skipIf(lacking !== undefined)("a server on an interface without a card", () => {
  it("answers by the kernel's stamps, and says why once for all its threads", async () => {
    const told: string[] = [];
    await using server = await built.serve({ port: 0, stratum: 2, workers: 2, hardwareTimestamps: ["lo", "nowhere0"], onSoftwareTimestamps: (reason) => told.push(reason) });
    for (let i = 0; i < 6; i++) {
      const sample = await built.query(`127.0.0.1:${server.addresses[0]!.port}`);
      expect([sample.usable, Math.abs(sample.offset) <= sample.delay / 2 + sample.dispersion]).toEqual([true, true]);
    }
    expect(told).toEqual([REASON, "there is no interface nowhere0"]);
    await eventually("all to be counted", () => server.counters.answered === 6 || undefined);
    expect(server.counters).toMatchObject({ hardwareReceived: 0, hardwareSent: 0, hardwareRefused: 0 });
  });

  it("goes on when whoever is told throws", async () => {
    const onSoftwareTimestamps = () => {
      throw new Error("a bad listener");
    };
    await using server = await built.serve({ listen: ["127.0.0.1"], port: 0, stratum: 2, hardwareTimestamps: "lo", onSoftwareTimestamps });
    expect((await built.query(`127.0.0.1:${server.addresses[0]!.port}`)).usable).toBe(true);
  });

  it.each([{ portable: true }, { clock: microseconds }, { workers: 0 }])("says that sockets of the runtime's own have no cards, with %j", async (options) => {
    const told: string[] = [];
    await using server = await built.serve({ listen: ["127.0.0.1"], port: 0, stratum: 2, hardwareTimestamps: "lo", onSoftwareTimestamps: (reason) => told.push(reason), ...options });
    expect(told).toEqual([expect.stringMatching(/^a server's network cards need sockets of the kernel's in threads/)]);
    expect((await built.query(`127.0.0.1:${server.addresses[0]!.port}`)).usable).toBe(true);
  });
});

it.each([[""], [[]], [["eth0", 7]], [7], [false]])("a server's cards are a name, names or true, not %j", async (wanted) => {
  await expect(serve({ port: 0, hardwareTimestamps: wanted as never })).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("expected hardwareTimestamps") });
});

const skipped = whySkipped(["chronyd"], { root: true });
describe.skipIf(skipped !== undefined || !existsSync(COMMAND) || lacking !== undefined)(titled("chronyd asks a server at the other end of a virtual cable", skipped), () => {
  it("which has no card, is told so, and agrees with the kernel's stamps", async () => {
    await using cable = await Cable.lay(["192.0.2.1", "192.0.2.2"]);
    await using server = new Peer(process.execPath, [COMMAND, "serve", "--listen", "192.0.2.1:123", "--stratum", "2", "--hardware-timestamps", "cable", "--json"], { namespace: cable.here });
    await eventually("the announcement", () => server.stdout.includes("\n") || undefined, server);
    const { status, stdout, stderr } = await run("chronyd", ["-U", "-u", "root", "-Q", "-t", "15", "server 192.0.2.1 iburst maxsamples 4"], { namespace: cable.there });
    const [, wrongBy] = /System clock wrong by (-?[\d.]+) seconds \(ignored\)/.exec(stdout + stderr) ?? [];
    expect([status, Math.abs(Number(wrongBy)) < 1e-3], stdout + stderr).toEqual([0, true]);
    const ended = await server.stop();
    expect(ended.stderr.trim()).toBe("escapement: the kernel stamps, not the network card: cable has no clock of its own");
    const [, last] = ended.stdout.trim().split("\n");
    expect(JSON.parse(last!)).toMatchObject({ counters: { answered: expect.any(Number), hardwareReceived: 0 } });
  });
});
