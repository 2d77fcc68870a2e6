// SPDX-License-Identifier: MIT OR Apache-2.0
/** The programs of examples/ about reference clocks and exact stamps, run from what is built, with receivers of the tests' own. */

import { rmSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SockFeed } from "../hosts/common/refclock/foreign-clocks.ts";
import { lendHost, serve, type Server } from "../hosts/node/index.ts";
import { built, PLENTY_S, run, SECONDS, SURE, type Finished } from "./support/example.ts";
import { freshDirectory, titled, whySkipped } from "./support/peers.ts";
import { everySecond, openLine, receiver, type Line } from "./support/receiver.ts";

let server: Server;
let good: string;
beforeAll(async () => {
  server = await serve({ port: 0, stratum: 1, refid: "PPS" });
  good = `127.0.0.1:${server.addresses[0]!.port}`;
});
afterAll(() => server?.close());

/** A receiver's sentences come so late, s. */
const LATE = 0.15;
const withoutLines = whySkipped(["socat"]);

describe.skipIf(!built || withoutLines).concurrent(titled("examples of reference clocks", withoutLines), () => {
  const directory = freshDirectory();
  const pulses = path.join(directory, "pulses.sock");
  const lines: Line[] = [];
  const running: Disposable[] = [];

  beforeAll(async () => {
    for (const name of ["gps", "gps-pps", "stratum1"]) lines.push(await openLine(directory, name));
    running.push(receiver(lines, LATE));
    const feed = new SockFeed((await lendHost()).devices ?? {}, pulses);
    running.push(everySecond(0.02, (ms) => {
      const second = BigInt(ms) * 1_000_000n;
      void feed.send({ receivedNs: second, timeNs: second, leap: 0, precision: -20, pulse: true });
    }));
  });
  afterAll(async () => {
    running.forEach((one) => one[Symbol.dispose]());
    await Promise.all(lines.map((line) => line.unplug()));
    rmSync(directory, { recursive: true, force: true });
  });

  it.each(["gps", "pps", "gps-pps", "stratum1-server"])("%s says that there is no device, and ends well", async (name) => {
    const { status, stdout, stderr } = await run(`examples/${name}.mjs`, ["/dev/nonexistent"]);
    expect([status, stderr, stdout]).toEqual([0, "", expect.stringMatching(/^There is no \/dev\/nonexistent.*: /)]);
  });

  it("gps is stratum 1 by a receiver's sentences", async () => {
    const { status, stdout, stderr } = await run("examples/gps.mjs", [path.join(directory, "gps"), "9600", String(LATE)], (told, stop) => /^stratum 1,/m.test(told) && stop(), { seconds: PLENTY_S });
    expect([status === 0 || status === null, stderr]).toEqual([true, ""]);
    expect(stdout).toMatch(/^stratum 1, ± 0\.\d+ s, the receiver's jitter 0\.\d+ s$/m);
  });

  it("gps says that its receiver has no fix", async () => {
    await using line = await openLine(directory, "void");
    using _ = everySecond(LATE, () => line.write("$GPRMC,,V,,,,,,,,,,N*53\r\n"));
    const { stdout, stderr } = await run("examples/gps.mjs", [path.join(directory, "void")], (told, stop) => /fix/.test(told) && stop(), { seconds: PLENTY_S });
    expect([stderr, stdout]).toEqual(["", "not synchronised: the receiver has no fix\n"]);
  });

  it("pps without a device driver behind its name says why there are no pulses", async () => {
    const { stdout, stderr } = await run("examples/pps.mjs", ["/dev/null", good], (told, stop) => /ENOTTY|UNSUPPORTED|expected/.test(told) && stop(), { seconds: PLENTY_S });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/pulses: \/dev\/null: (ioctl ENOTTY|expected)/);
  });

  it("gps-pps is stratum 1 by pulses that sentences number", async () => {
    const { stdout, stderr } = await run("examples/gps-pps.mjs", [path.join(directory, "gps-pps"), pulses, String(LATE)], (told, stop) => /^stratum 1 by PPS/m.test(told) && stop(), { seconds: PLENTY_S });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^stratum 1 by PPS, ± \d\.\d+e-\d+ s$/m);
  });

  it("own-refclock is stratum 1 by what a command prints, wherever that lies", async () => {
    const { stdout, stderr } = await run("examples/own-refclock.mjs", ["sh", "-c", "while date -d '+3 hours' +%s.%N; do sleep 0.2; done"], (told, stop) => /^stratum 1/m.test(told) && stop(), { seconds: PLENTY_S });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^stratum 1 by CMD, offset -?\d+\.\d{6} s, ± 0\.\d{6} s: /m);
    const [, told] = /: (\S+Z)$/m.exec(stdout)!;
    expect(Math.abs(Date.parse(told!) - Date.now() - 3 * 3600_000)).toBeLessThan(60_000);
  });

  it("own-refclock says what is wrong with what a command prints", async () => {
    const finished = await run("examples/own-refclock.mjs", ["sh", "-c", "while echo noon; do sleep 0.2; done"]);
    expect(finished).toEqual({ status: 1, stderr: "", stdout: expect.stringMatching(/^expected sources that agree within 10 s, .*, expected seconds since 1970, got "noon";/) });
  });

  it("hardware-timestamping says what each interface can, or why it cannot", async () => {
    const { status, stdout, stderr } = await run("examples/hardware-timestamping.mjs", ["lo"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^lo: software time stamps, because lo has no clock of its own\n$|^This host cannot ask/);
  });

  it("hardware-timestamping asks with the card's stamps, or says why the kernel's have to do", async () => {
    const { status, stdout, stderr } = await run("examples/hardware-timestamping.mjs", ["lo"], undefined, { environment: { SERVER: good } });
    expect([status, stderr]).toEqual([0, ""]);
    if (/^This host cannot ask/.test(stdout)) return;
    expect(stdout).toMatch(new RegExp(`\nthe kernel stamps: lo has no clock of its own\nasked: t1 by the kernel, t4 by the kernel, offset ${SECONDS} s, delay ${SECONDS} s\n$`));
  });

  it("high-precision tells what its clock is worth, and who stamps", async () => {
    await using interleaving = await serve({ ...SURE, interleaved: true });
    const { stdout, stderr } = await run("examples/high-precision.mjs", [`127.0.0.1:${interleaving.addresses[0]!.port}`, "lo"], (told, stop) => /, [1-9]\d* interleaved/.test(told) && stop(), { seconds: PLENTY_S });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^this host reads its clock to \d\.\de-\d+ s by .+\n(the kernel stamps: lo has no clock of its own|the kernel stamps: \w+ cannot ask).*\n/);
    expect(stdout).toMatch(/: requests are stamped by the (kernel|user), answers by the (kernel|user), delay \d/);
    expect(stdout).toMatch(/^offset \S+ s, within \d\.\de-\d+ s, frequency to \d+\.\d{3} ppm; \d+ samples, [1-9]\d* interleaved, sd \S+ s, delay \S+ s$/m);
  });

  it("high-precision without a server says what it wants", async () => {
    expect(await run("examples/high-precision.mjs")).toMatchObject({ status: 0, stderr: "", stdout: expect.stringMatching(/^Name servers of your own network/) });
  });

  it("stratum1-server answers as stratum 1 once its receiver is heard", async () => {
    let asked: Promise<Finished> | undefined;
    const finished = await run("examples/stratum1-server.mjs", [path.join(directory, "stratum1"), String(LATE), "0"], (told, stop) => {
      const port = /^answering on 0\.0\.0\.0 port (\d+)$/m.exec(told)?.[1];
      if (port && /^stratum 1 by GPS$/m.test(told)) asked ??= run("examples/request.mjs", [`127.0.0.1:${port}`]).finally(stop);
    });
    expect(await asked).toMatchObject({ status: 0, stdout: expect.stringMatching(/stratum 1, refid GPS\n$/) });
    expect(finished).toMatchObject({ status: 0, stderr: "" });
  });
});
