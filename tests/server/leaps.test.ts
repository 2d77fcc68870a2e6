// SPDX-License-Identifier: MIT OR Apache-2.0
/** `escapement serve --leap-file` and the daemon's `leap-file`, live: leap seconds announced, TAI told to who asks in NTPv5. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { serve, type Server } from "../../hosts/node/index.ts";
import { leapFileText } from "../support/leap-file.ts";
import { request5 } from "../support/ntpv5.ts";
import { Peer, COMMAND, escapement, eventually, freePort, freshDirectory, loopbackAlias, writeLines } from "../support/peers.ts";
import { startServe } from "../interop/ask.ts";
import { Asker, built, lacking, until } from "./built.ts";

const [SCALE_UTC, SCALE_TAI] = [0, 1];
const HOUR = 3600;
const now = () => Math.floor(Date.now() / 1000);

let directory: string;
let file: string;
beforeEach(() => {
  directory = freshDirectory();
  file = join(directory, "leap-seconds.list");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A leap second in an hour, after which TAI − UTC is `after`. */
const text = (after: number, before = 37) => leapFileText({ entries: [[63_072_000, before], [now() + HOUR, after]], expires: now() + 48 * HOUR });

/** What the server tells in version 5 to who asks for TAI: the scale, and how far that is from the system clock, s. */
async function askTai(address: string, port: number): Promise<{ scale: number; isAhead: (by: number) => boolean; leap: number }> {
  await using asker = await new Asker().ready();
  const before = Date.now();
  await asker.send(request5({ scale: SCALE_TAI }), port, address);
  await until("an answer in version 5", () => asker.replies.length > 0);
  const { data } = asker.replies[0]!;
  const after = Date.now();
  const seconds = data.readUInt32BE(40) + data.readUInt32BE(44) / 2 ** 32 - 2_208_988_800;
  // It was said between the two.
  const isAhead = (by: number) => seconds - by >= before / 1000 - 0.01 && seconds - by <= after / 1000 + 0.01;
  return { scale: data[12]!, isAhead, leap: data[0]! >> 6 };
}

const portOf = (peer: Peer) => (JSON.parse(peer.stdout.split("\n")[0]!) as { addresses: [{ port: number }] }).addresses[0].port;

describe.skipIf(lacking !== undefined)("escapement serve --leap-file", () => {
  it.each([["on the fast path in two threads", ["--workers", "2"]], ["on the runtime's own sockets", ["--portable"]]])("%s announces and tells TAI; on SIGHUP what a new file says, and never what a bad one does", async (_, options) => {
    writeFileSync(file, text(38));
    await using server = await startServe(["--listen", "127.0.0.1:0", "--stratum", "3", "--refid", "192.0.2.5", "--leap-file", file, ...options]);
    const port = portOf(server);
    const ask = () => built.query(`127.0.0.1:${port}`);
    expect(await ask()).toMatchObject({ leap: 1, stratum: 3 });
    const told = await askTai("127.0.0.1", port);
    expect([told.scale, told.isAhead(37), told.leap]).toEqual([SCALE_TAI, true, 1]);

    writeFileSync(file, text(20, 21));
    process.kill(server.pid, "SIGHUP");
    const [next] = await eventually("the new file's word from each thread", async () => {
      const samples = await Promise.all(Array.from({ length: 12 }, ask));
      return samples.every(({ leap }) => leap === 2) ? samples : undefined;
    }, server);
    // What is said beside leap seconds stays.
    expect(next!.toJSON()).toMatchObject({ stratum: 3, refid: "192.0.2.5" });
    await eventually("TAI by the new file", async () => ((await askTai("127.0.0.1", port)).isAhead(21) ? true : undefined), server);

    writeFileSync(file, "nonsense\n");
    process.kill(server.pid, "SIGHUP");
    await eventually("the complaint", () => /could not be renewed, what was known goes on/.test(server.said) || undefined, server);
    expect((await ask()).leap).toBe(2);
    const { status } = await server.stop();
    expect(status).toBe(0);
  });

  it("that has expired announces nothing, tells no TAI, and says so", async () => {
    writeFileSync(file, leapFileText({ entries: [[63_072_000, 37], [now() + HOUR, 38]], expires: now() - 1 }));
    await using server = await startServe(["--listen", "127.0.0.1:0", "--stratum", "3", "--leap-file", file]);
    expect((await built.query(`127.0.0.1:${portOf(server)}`)).leap).toBe(0);
    const { scale, isAhead } = await askTai("127.0.0.1", portOf(server));
    expect(scale).toBe(SCALE_UTC);
    expect(isAhead(0)).toBe(true);
    expect(server.said).toContain("has expired");
  });

  it.each([["missing", undefined, "there is none"], ["damaged", "nonsense\n", "expected a leap-seconds.list"]])("that is %s stops the start with the reason", async (_, content, reason) => {
    if (content !== undefined) writeFileSync(file, content);
    const { status, stdout, stderr } = await escapement(["serve", "--listen", "127.0.0.1:0", "--leap-file", file]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(file);
    expect(stderr).toContain(reason);
  });
});

describe.skipIf(lacking !== undefined)("the daemon's leap-file", () => {
  let source: Server;
  beforeEach(async () => {
    source = await serve({ listen: [loopbackAlias()], port: 0, stratum: 1, refid: "GPS" });
  });
  afterEach(() => source.close());

  async function startDaemon(address: string, port: number): Promise<Peer> {
    const config = writeLines(directory, "daemon.toml", [
      "[[source]]", `address = "${source.addresses[0]!.address}:${source.addresses[0]!.port}"`, "min-poll = 0", "max-poll = 0",
      "[clock]", 'mode = "observe"', "[observe]", `socket = "${directory}/o.sock"`, "[server]", `listen = ["${address}"]`, `port = ${port}`, `leap-file = "${file}"`,
    ]);
    return new Peer(process.execPath, [COMMAND, "daemon", "--config", config]);
  }

  it("is announced, and told in TAI, as soon as the daemon is synchronised", async () => {
    writeFileSync(file, text(38));
    const address = loopbackAlias();
    const port = await freePort(address);
    await using daemon = await startDaemon(address, port);
    const sample = await eventually("the daemon to serve", async () => {
      const one = await built.query(`${address}:${port}`, { timeout: 0.5 });
      return one.usable ? one : undefined;
    }, daemon);
    expect(sample).toMatchObject({ leap: 1, stratum: 2 });
    const { scale, isAhead } = await askTai(address, port);
    expect([scale, isAhead(37)]).toEqual([SCALE_TAI, true]);
  });

  it("that is damaged stops the start with the reason", async () => {
    writeFileSync(file, "nonsense\n");
    const daemon = await startDaemon("127.0.0.1", await freePort("127.0.0.1"));
    const { status, stderr } = await daemon.ended;
    expect(status).toBe(1);
    expect(stderr).toContain(`${file}: expected a leap-seconds.list`);
  });
});
