// SPDX-License-Identifier: MIT OR Apache-2.0
/** How reference clocks are written, and what is none. */
import { describe, expect, it } from "vitest";
import type { Host } from "../host.ts";
import { openRefClock, parseRefClock } from "./open.ts";

describe("a reference clock is written", () => {
  it.each([
    ["refclock:gps:/dev/ttyS0", { kind: "gps", device: "/dev/ttyS0" }],
    ["refclock:gps:/dev/ttyS0?baud=4800&offset=-0.14&sentence=ZDA&noselect", { baud: 4800, offset: -0.14, sentence: "ZDA", noselect: true }],
    ["refclock:pps:/dev/pps0?lock=GPS&edge=clear&both=false&prefer=true&poll=3&holdover=600", { lock: "GPS", edge: "clear", both: false, prefer: true, poll: 3, holdover: 600 }],
    ["refclock:gpsd", { kind: "gpsd", device: "" }],
    ["refclock:gpsd:[2001:db8::1]:2948?of=/dev/ttyS0", { device: "[2001:db8::1]:2948", of: "/dev/ttyS0" }],
    ["refclock:shm:2?refid=PPS2&delay=1e-6&dispersion=0&precision=1e-8", { device: "2", refid: "PPS2", delay: 1e-6, dispersion: 0, precision: 1e-8 }],
    ["REFCLOCK:sock:/run/a.sock?name=a", { kind: "sock", device: "/run/a.sock", name: "a" }],
    ["refclock:local?stratum=12", { kind: "local", stratum: 12 }],
  ])("%s", (text, spec) => {
    expect(parseRefClock(text)).toMatchObject(spec);
  });

  it.each([
    ["refclock:", "one of gps, gpsd"],
    ["refclock:loran:/dev/ttyS0", "one of gps, gpsd"],
    ["refclock:gps", "absolute path"],
    ["refclock:gps:ttyS0", "absolute path"],
    ["refclock:gps:/dev/ttyS0?baud=fast", "whole number of 50 to 10000000"],
    ["refclock:gps:/dev/ttyS0?baud=9600.5", "whole number"],
    ["refclock:gps:/dev/ttyS0?sentence=GSV", "RMC or GGA"],
    ["refclock:gps:/dev/ttyS0?edge=assert", "one of name"],
    ["refclock:gps:/dev/ttyS0?constructor=1", "one of name"],
    ["refclock:gps:/dev/ttyS0?offset=", "number of -1000000000"],
    ["refclock:gps:/dev/ttyS0?offset=NaN", "number of"],
    ["refclock:pps:/dev/pps0?prefer=yes", "true or false"],
    ["refclock:pps:/dev/pps0?poll=11", "0 to 10"],
    ["refclock:pps:/dev/pps0?precision=2", "0 to 1"],
    ["refclock:gpsd:host:0", "HOST or HOST:PORT"],
    ["refclock:gpsd:host:99999", "HOST or HOST:PORT"],
    ["refclock:shm:256", "unit of 0 to 255"],
    ["refclock:shm:-1", "unit of 0 to 255"],
    ["refclock:sock:/a?refid=TOOLONG", "one to four"],
    ["refclock:local:x", "no device"],
    ["refclock:local?stratum=0", "1 to 15"],
    ["refclock:local?offset=1", "one of stratum"],
  ])("and %s is wrong: expected %s", (text, message) => {
    expect(() => parseRefClock(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining(message) }));
  });
});

describe("a host without devices", () => {
  const host = { runtime: "browser", clock: { now: () => 0n } } as unknown as Host;

  it("says so of a serial line at once", () => {
    expect(() => openRefClock(parseRefClock("refclock:gps:/dev/ttyS0"), host)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });

  it.each(["refclock:gpsd", "refclock:pps:/dev/pps0", "refclock:shm:2", "refclock:sock:/run/a.sock"])("has %s waiting, and says why", async (text) => {
    const clock = openRefClock(parseRefClock(text), host);
    clock[Symbol.asyncIterator]();
    await expect.poll(() => clock.health).toEqual({ state: "waiting", message: expect.stringMatching(/expected a host with/) });
    clock.close();
  });
});
