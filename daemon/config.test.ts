// SPDX-License-Identifier: MIT OR Apache-2.0
/** The daemon's configuration: every key, every error and its place, and that nothing else is ever thrown. @module */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, DEFAULT_SOCKET, loadConfig, readConfig } from "./config.ts";
import { nearest } from "./nearest.ts";
import { KEYS, type Keys } from "./schema.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const SOURCE = '[[source]]\naddress = "192.0.2.1"\n';

/** The lines of the error that `text` earns, without the file's name. */
function errors(text: string): string[] {
  try {
    readConfig(text, "f");
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.split("\n").map((line) => line.replace(/^f:/, ""));
  }
  return [];
}

describe("a configuration", () => {
  it("of one source has every default", () => {
    expect(readConfig(SOURCE, "f")).toEqual({
      sources: [{ source: "192.0.2.1", minPoll: 6, maxPoll: 10 }],
      refclocks: [],
      clock: { mode: "system", algorithm: "estimator", makeStep: { least: 0.1, count: 3 }, stepLimits: { single: 1000, startup: 0, sum: 0 } },
      observe: { enabled: true, socket: DEFAULT_SOCKET },
      log: { level: "info" },
    });
  });

  it("shows its page where it is told to, and to this machine only unless told more", () => {
    const dashboard = (text: string) => readConfig(`${SOURCE}[observe]\ndashboard = ${text}\n`, "f").observe.dashboard;
    expect(dashboard("{ port = 8123 }")).toEqual({ address: "127.0.0.1", port: 8123 });
    expect(dashboard('{ address = "::", port = 8123 }')).toEqual({ address: "::", port: 8123 });
  });

  it("asks for corrections where it is told to", () => {
    expect(readConfig(`${SOURCE}version = "auto"\ncorrection = true\n`, "f").sources[0]).toMatchObject({ version: "auto", correction: true });
  });

  it("sets every key", () => {
    const text = `
[[source]]
address = "pool.example.org"
pool = 4
version = 3
min-poll = 4
max-poll = 8
[[source]]
address = "ntp://[2001:db8::1]:1123"
interleaved = true
[[source]]
address = "192.0.2.2"
mode = "symmetric"
[[source]]
address = "192.0.2.3"
mode = "broadcast"
listen = { port = 2123, group = "224.0.1.1", interface = "192.0.2.9" }
[[refclock]]
kind = "gps"
device = "/dev/ttyS0"
baud = 4800
sentence = "ZDA"
name = "sentences"
noselect = true
offset = 0.35
[[refclock]]
kind = "pps"
device = "/dev/pps0"
lock = "sentences"
edge = "clear"
both = true
refid = "GPPS"
delay = 0.000001
dispersion = 0.00001
precision = 0.0000001
poll = 3
stratum = 0
prefer = true
holdover = 600
[[refclock]]
kind = "gpsd"
of = "/dev/ttyUSB0"
[[refclock]]
kind = "local"
stratum = 10
[peering]
port = 3123
addresses = ["192.0.2.9", "2001:db8::9"]
allow = ["192.0.2.4"]
limit = 2
[clock]
mode = "virtual"
algorithm = "pll-fll"
drift-file = "/var/lib/escapement/drift"
hardware-timestamps = ["eth0", "eth1"]
make-step = { threshold = 0.5, limit = -1 }
step-limits = { single = 10, startup = 3600.5, sum = 20 }
[observe]
enabled = false
socket = "/run/e.sock"
[server]
listen = ["192.0.2.9", "::1"]
port = 1123
[log]
level = "debug"`;
    expect(readConfig(text, "f")).toEqual({
      sources: [
        { source: "pool.example.org", pool: 4, version: 3, minPoll: 4, maxPoll: 8 },
        { source: "ntp://[2001:db8::1]:1123", interleaved: true, minPoll: 6, maxPoll: 10 },
        { source: "192.0.2.2", mode: "symmetric", minPoll: 6, maxPoll: 10 },
        { source: "192.0.2.3", mode: "broadcast", listen: { port: 2123, group: "224.0.1.1", interface: "192.0.2.9" }, minPoll: 6, maxPoll: 10 },
      ],
      refclocks: [
        "refclock:gps:/dev/ttyS0?baud=4800&sentence=ZDA&name=sentences&noselect=true&offset=0.35",
        "refclock:pps:/dev/pps0?lock=sentences&edge=clear&both=true&refid=GPPS&delay=0.000001&dispersion=0.00001&precision=1e-7&poll=3&stratum=0&prefer=true&holdover=600",
        "refclock:gpsd?of=%2Fdev%2FttyUSB0",
        "refclock:local?stratum=10",
      ],
      peering: { port: 3123, addresses: ["192.0.2.9", "2001:db8::9"], allow: ["192.0.2.4"], limit: 2 },
      clock: { mode: "virtual", algorithm: "pll-fll", driftFile: "/var/lib/escapement/drift", cards: ["eth0", "eth1"], makeStep: { least: 0.5, count: -1 }, stepLimits: { single: 10, startup: 3600.5, sum: 20 } },
      observe: { enabled: false, socket: "/run/e.sock" },
      server: { listen: ["192.0.2.9", "::1"], port: 1123 },
      log: { level: "debug" },
    });
  });

  it("lets every network card stamp that can where one is called *", () => {
    expect(readConfig(`${SOURCE}[clock]\nhardware-timestamps = ["*"]`, "f").clock.cards).toBe(true);
  });

  it("serves on all addresses, port 123, when [server] is empty", () => {
    expect(readConfig(`${SOURCE}[server]`, "f").server).toEqual({ port: 123 });
  });

  it.each([["min-poll = 12", 12, 12], ["max-poll = 3", 3, 3], ["min-poll = 7", 7, 10], ["max-poll = 9", 6, 9]])("%s alone moves the other limit out of its way", (line, minPoll, maxPoll) => {
    expect(readConfig(SOURCE + line, "f").sources[0]).toMatchObject({ minPoll, maxPoll });
  });
});

describe("an error", () => {
  it.each<[string, string, string]>([
    ["no source", "", '1:1: expected at least one [[source]] with an address, got none; for instance: [[source]] address = "pool.ntp.org", pool = 4'],
    ["a source without address", `${SOURCE}[[source]]\nversion = 4`, '3:3: source[1]: expected a key "address" here, got none'],
    ["a source in single brackets", '[source]\naddress = "a"', "1:2: source: expected sections [[source]], in double brackets, got a table"],
    ["an address that is none", '[[source]]\naddress = "http://x"', '2:11: source[0].address: expected a source like "time.example.org", "192.0.2.1:123", "[2001:db8::1]:123", "ntp://…" or "nts:…" (a port is a number, 1..65535), got "http://x"'],
    ["an address that is a number", "[[source]]\naddress = 4", "2:11: source[0].address: expected a text in quotes, got 4"],
    ["a pool too large", `${SOURCE}pool = 17`, "3:8: source[0].pool: expected a whole number of 1..16 (addresses), got 17"],
    ["a key file that is relative", `${SOURCE}key = "keys:7"`, '3:7: source[0].key: expected the absolute path of a key file and a key\'s number, like "/etc/escapement/keys:7", got "keys:7"'],
    ["NTS options for another source", `${SOURCE}nts = { pq = "require" }`, '3:1: source[0].nts: expected "nts" only with an address of nts:, got it with "192.0.2.1"'],
    ["a pin that is none", '[[source]]\naddress = "nts:x"\nnts = { pins = ["abc"] }', '3:17: source[0].nts.pins[0]: expected the SHA-256 of a public key in base64, 44 characters, got "abc"'],
    ["a key beside NTS", '[[source]]\naddress = "nts:x"\nkey = "/k:1"', '3:1: source[0].key: expected no "key" with an address of nts:, got one'],
    ["NTS for a peer", '[[source]]\naddress = "nts:x"\nmode = "symmetric"', '3:8: source[0].mode: expected mode "client" with an address of nts:, got "symmetric"'],
    ["version 6", `${SOURCE}version = 6`, '3:11: source[0].version: expected 3, 4, 5 or "auto", got 6'],
    ["a poll that is not whole", `${SOURCE}min-poll = 6.5`, "3:12: source[0].min-poll: expected a whole number of 0..17 (log2 s), got 6.5"],
    ["a poll beyond RFC 5905", `${SOURCE}max-poll = 18`, "3:12: source[0].max-poll: expected a whole number of 0..17 (log2 s), got 18"],
    ["polls the wrong way round", `${SOURCE}min-poll = 8\nmax-poll = 7`, "4:12: source[0].max-poll: expected at least min-poll, which is 8, got 7"],
    ["a source twice", `${SOURCE}${SOURCE}`, '4:11: source[1].address: expected every source once, got "192.0.2.1" again (it is source[0]); remove one, or say pool'],
    ["a mode mistyped", `${SOURCE}[clock]\nmode = "sytem"`, '4:8: clock.mode: expected "system", "virtual" or "observe", got "sytem"; did you mean "system"?'],
    ["an algorithm that is none", `${SOURCE}[clock]\nalgorithm = true`, '4:13: clock.algorithm: expected "estimator" or "pll-fll", got true'],
    ["a drift file that depends on where we are", `${SOURCE}[clock]\ndrift-file = "drift"`, '4:14: clock.drift-file: expected an absolute path, got "drift"'],
    ["a step threshold of nothing", `${SOURCE}[clock]\nmake-step = { threshold = 0 }`, "4:27: clock.make-step.threshold: expected a number of 0.001..1000000 (s), got 0"],
    ["a network card that is a path", `${SOURCE}[clock]\nhardware-timestamps = ["eth0", "/dev/ptp0"]`, '4:32: clock.hardware-timestamps[1]: expected the name of a network interface, or "*" for all that can, got "/dev/ptp0"'],
    ["a network card with a name too long for Linux", `${SOURCE}[clock]\nhardware-timestamps = ["${"e".repeat(16)}"]`, `4:24: clock.hardware-timestamps[0]: expected the name of a network interface, or "*" for all that can, got "${"e".repeat(16)}"`],
    ["a step limit that is NaN", `${SOURCE}[clock.step-limits]\nsum = nan`, "4:7: clock.step-limits.sum: expected a number of 0..1000000000 (s), got NaN"],
    ["a limit that is infinite", `${SOURCE}[clock.step-limits]\nsingle = inf`, "4:10: clock.step-limits.single: expected a number of 0..1000000000 (s), got Infinity"],
    ["chrony's make-step", `${SOURCE}[clock]\nmake-step = [1, 3]`, "4:13: clock.make-step: expected a table in braces, got a list"],
    ["a section that is a value", `clock = 1\n${SOURCE}`, "1:9: clock: expected a section [clock], got 1"],
    ["enabled in quotes", `${SOURCE}[observe]\nenabled = "yes"`, '4:11: observe.enabled: expected true or false, got "yes"'],
    ["a page without a port", `${SOURCE}[observe]\ndashboard = {}`, '4:1: observe.dashboard: expected a key "port" here, got none'],
    ["a page at a name", `${SOURCE}[observe]\ndashboard = { address = "localhost", port = 80 }`, '4:25: observe.dashboard.address: expected an IP address, got "localhost"'],
    ["a page at a port that is none", `${SOURCE}[observe]\ndashboard = { port = 65536 }`, "4:22: observe.dashboard.port: expected a whole number of 1..65535 (TCP port), got 65536"],
    ["a socket path too long", `${SOURCE}[observe]\nsocket = "/${"x".repeat(103)}"`, "4:10: observe.socket: expected an absolute path of at most 103 octets, got 104"],
    ["a socket path that is relative", `${SOURCE}[observe]\nsocket = "a.sock"`, '4:10: observe.socket: expected an absolute path of at most 103 octets, got "a.sock"'],
    ["listening on a name", `${SOURCE}[server]\nlisten = ["127.0.0.1", "host"]`, '4:24: server.listen[1]: expected an IP address, got "host"'],
    ["listening nowhere", `${SOURCE}[server]\nlisten = []`, "4:10: server.listen: expected a list in brackets of at least one member, got a list"],
    ["port 0", `${SOURCE}[server]\nport = 0`, "4:8: server.port: expected a whole number of 1..65535 (UDP port), got 0"],
    ["a log level that is none", `${SOURCE}[log]\nlevel = "loud"`, '4:9: log.level: expected "error", "warning", "info" or "debug", got "loud"'],
    ["an unknown section", `${SOURCE}[loging]`, '3:2: loging: expected a key that is known, got "loging"; did you mean "log"?'],
    ["a key with an underscore", `${SOURCE}min_poll = 4`, '3:1: source[0].min_poll: expected a key that is known, got "min_poll"; did you mean "min-poll"?'],
    ["a key that is nothing like ours", `${SOURCE}[log]\ncolour = 1`, '4:1: log.colour: expected a key that is known, got "colour"; there are level'],
    ["a key of Object's", `${SOURCE}constructor = 1\n__proto__ = 2`, '3:1: source[0].constructor: expected a key that is known, got "constructor"; there are address, pool, version, min-poll, max-poll'],
    ["a source's mode that is none", `${SOURCE}mode = "peer"`, '3:8: source[0].mode: expected "client", "symmetric" or "broadcast", got "peer"'],
    ["interleaved in quotes", `${SOURCE}interleaved = "yes"`, '3:15: source[0].interleaved: expected true or false, got "yes"'],
    ["a pool of peers", `${SOURCE}mode = "symmetric"\npool = 2`, '4:1: source[0].pool: expected no "pool" with mode "symmetric", got one'],
    ["corrections of version 4", `${SOURCE}correction = true`, '3:1: source[0].correction: expected "correction" only with version 5 or "auto", which alone have it'],
    ["corrections in interleaved mode", `${SOURCE}version = 5\ninterleaved = true\ncorrection = true`, '5:1: source[0].correction: expected "correction" or "interleaved", got both; a correction is about one exchange, an interleaved reply about two'],
    ["interleaved with a peer", `${SOURCE}mode = "symmetric"\ninterleaved = true`, '4:1: source[0].interleaved: expected no "interleaved" with mode "symmetric", got one'],
    ["polls of who is not polled", `${SOURCE}mode = "broadcast"\nmin-poll = 6`, '4:1: source[0].min-poll: expected no "min-poll" with mode "broadcast", got one'],
    ["listening to who is asked", `${SOURCE}listen = { port = 1123 }`, '3:1: source[0].listen: expected no "listen" with mode "client", got one'],
    ["a group that is none", `${SOURCE}mode = "broadcast"\nlisten = { group = "192.0.2.1" }`, '4:20: source[0].listen.group: expected a multicast address like "224.0.1.1" or "ff05::101", got "192.0.2.1"'],
    ["an interface without group", `${SOURCE}mode = "broadcast"\nlisten = { interface = "eth0" }`, '4:12: source[0].listen.interface: expected "interface" only beside "group", got it alone'],
    ["an interface of nothing", `${SOURCE}mode = "broadcast"\nlisten = { group = "ff05::101", interface = "" }`, "4:45: source[0].listen.interface: expected an interface, by its address for IPv4 and its name for IPv6"],
    ["peering with a name", `${SOURCE}[peering]\nallow = ["peer.example"]`, '4:10: peering.allow[0]: expected an IP address, got "peer.example"'],
    ["no peers at a time", `${SOURCE}[peering]\nlimit = 0`, "4:9: peering.limit: expected a whole number of 1..64 (peers), got 0"],
    ["two addresses of a family to peer on", `${SOURCE}[peering]\naddresses = ["192.0.2.1", "192.0.2.2"]`, "4:27: peering.addresses[1]: expected one address of IPv4 and one of IPv6 at most, got a second of IPv4"],
    ["a server on the peers' port", `${SOURCE}[peering]\nport = 1123\n[server]\nport = 1123`, "6:8: server.port: expected another port than that of [peering], got 1123 for both; peers need a port of their own, so give one of the two another"],
    ["both by default", `${SOURCE}[peering]\n[server]`, "4:2: server: expected another port than that of [peering], got 123 for both"],
    ["a server on the port that a peer has by default", `${SOURCE}mode = "symmetric"\n[server]`, "4:2: server: expected another port than that of [peering], got 123 for both"],
    ["broadcasts to the server's port", `${SOURCE}mode = "broadcast"\n[server]`, "1:3: source[0]: expected broadcasts to come to another port than that of [server], got 123 for both"],
    ["broadcasts to the peers' port", `${SOURCE}mode = "broadcast"\nlisten = { port = 124 }\n[peering]\nport = 124`, "4:19: source[0].listen.port: expected broadcasts to come to another port than that of [peering], got 124 for both"],
    ["text that is not TOML", `${SOURCE}pool = = 4`, "3:8: expected TOML: "],
  ])("%s", (_, text, expected) => {
    expect(errors(text)[0]).toContain(expected);
  });

  it("is none where each port has one owner", () => {
    const text = `${SOURCE}mode = "symmetric"\n[[source]]\naddress = "192.0.2.2"\nmode = "broadcast"\n[peering]\nport = 1123\n[server]\nport = 2123`;
    expect(errors(text)).toEqual([]);
  });

  it("does not keep others from being told, in the order of the text", () => {
    const text = '[clock]\nmode = 1\nmod = 2\n[[source]]\npool = 0\naddress = ""\n[log]\nlevel = 1';
    expect(errors(text).map((line) => line.split(": ").slice(0, 2).join(" "))).toEqual([
      "2:8 clock.mode", "3:1 clock.mod", "5:8 source[0].pool", "6:11 source[0].address", "8:9 log.level",
    ]);
  });

  it("counts the addresses of pools against the 64 that can be followed", () => {
    const pools = Array.from({ length: 5 }, (_, index) => `[[source]]\naddress = "p${index}.example"\npool = 16\n`).join("");
    expect(errors(pools)).toEqual(["13:3: source[4]: expected at most 64 sources, pools counted with all their addresses, got more from here on"]);
  });

  it("never shows more of a value than can be read", () => {
    expect(errors(`${SOURCE}version = "${"x".repeat(10_000)}"`)[0]!.length).toBeLessThan(200);
  });
});

describe("any text", () => {
  const only = (text: string) => {
    try {
      readConfig(text, "f");
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      expect(error.problems.every(({ line, column }) => line >= 1 && column >= 1)).toBe(true);
    }
  };

  it("is a configuration or a ConfigError", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), only), { numRuns: 1000 });
  });

  it("made of the words of configurations is, too", () => {
    const names = [...keyNames(KEYS), "constructor", "__proto__", "x"];
    const value = fc.constantFrom("1", "-1", "1e400", "nan", '"x"', '"/x"', "true", "[]", "[1]", "{}", "{ a = 1 }", "1979-05-27", "0x10");
    const line = fc.oneof(
      fc.constantFrom(...names).map((name) => `[${name}]`),
      fc.constantFrom(...names).map((name) => `[[${name}]]`),
      fc.tuple(fc.constantFrom(...names), value).map(([name, literal]) => `${name} = ${literal}`),
    );
    fc.assert(fc.property(fc.array(line, { maxLength: 12 }).map((lines) => lines.join("\n")), only), { numRuns: 2000 });
  });
});

describe("a file", () => {
  it("that is not UTF-8, or is not there, is an error that says so", async () => {
    const directory = await mkdtemp(join(tmpdir(), "escapement-"));
    const file = join(directory, "c.toml");
    await writeFile(file, Uint8Array.of(0x61, 0xff));
    await expect(loadConfig(file)).rejects.toThrow(`${file}:1:1: expected UTF-8`);
    await writeFile(file, `\uFEFF${SOURCE}`);
    await expect(loadConfig(file)).resolves.toMatchObject({ sources: [{ source: "192.0.2.1" }] });
    await rm(directory, { recursive: true });
    await expect(loadConfig(file)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("of the examples is right", async () => {
    await expect(loadConfig(here("../examples/daemon.toml"))).resolves.toBeDefined();
  });
});

describe("a reference clock", () => {
  it("needs no [[source]] beside it", () => {
    expect(errors('[[refclock]]\nkind = "gps"\ndevice = "/dev/ttyS0"\n')).toEqual([]);
  });

  it.each([
    ["without a kind", 'device = "/dev/ttyS0"', '1:3: refclock[0]: expected a key "kind" here, got none'],
    ["of a kind that is none", 'kind = "dcf77"', '2:8: refclock[0].kind: expected "gps", "gpsd", "pps", "shm", "sock" or "local", got "dcf77"'],
    ["without a device", 'kind = "gps"', "expected an absolute path of a device"],
    ["with a key of another kind", 'kind = "shm"\ndevice = "2"\nbaud = 9600', "expected one of name, refid"],
    ["of a unit that is none", 'kind = "shm"\ndevice = "/dev/shm"', "expected a unit of 0 to 255"],
    ["with a refid too long", 'kind = "gpsd"\nrefid = "GALIL"', "expected 1 to 4 ASCII characters"],
    ["of stratum 0 from its own clock", 'kind = "local"\nstratum = 0', "expected a whole number of 1 to 15"],
    ["locked to nobody", 'kind = "pps"\ndevice = "/dev/pps0"\nlock = "GPS"', '4:8: refclock[0].lock: expected the name of another [[refclock]], got "GPS"; there are none'],
    ["locked to itself", 'kind = "pps"\ndevice = "/dev/pps0"\nlock = "PPS"', "expected the name of another"],
  ])("%s is an error", (_, keys, message) => {
    const [first, ...others] = errors(`[[refclock]]\n${keys}\n`);
    expect(first).toContain(message);
    expect(others.filter((line) => !line.includes("refclock[0]"))).toEqual([]);
  });
});

describe("the reference", () => {
  it("describes every key", async () => {
    const text = await readFile(here("../docs/daemon.md"), "utf8");
    const undescribed = keyNames(KEYS).filter((name) => !text.includes(`\`${name}\``) && !text.includes(`[${name}]`));
    expect(undescribed).toEqual([]);
  });
});

function keyNames(keys: Keys): string[] {
  return Object.entries(keys).flatMap(([name, rule]) => [name, ...("keys" in rule ? keyNames(rule.keys) : [])]);
}

describe("the nearest word", () => {
  it.each([["adress", "address"], ["MaxPoll", "max-poll"], ["minpoll", "min-poll"], ["verison", "version"]])("to %s is %s", (word, meant) => {
    expect(nearest(word, ["address", "pool", "version", "min-poll", "max-poll"])).toBe(meant);
  });

  it.each([["colour"], [""], ["x".repeat(1000)]])("to %j is none", (word) => {
    expect(nearest(word, ["address", "pool", "version"])).toBeUndefined();
  });
});
