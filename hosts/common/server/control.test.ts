// SPDX-License-Identifier: MIT OR Apache-2.0
/** What ntpq is told: status words, variables, fragments and errors, within bounds. Live with ntpq in tests/interop. */

import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../core/core.ts";
import { ControlResponder, type ControlReport, type ControlSource } from "./control.ts";

const NOW = 1_795_348_800_000_000_000n;
const SOURCE: ControlSource = {
  address: "192.0.2.1", refid: 0x47505300, stratum: 1, leap: 0, poll: 6, reach: 0xff, offset: 0.00125, delay: 0.02, jitter: 0.0001,
  rootDelay: 0.001, rootDispersion: 0.002, receivedNs: NOW - 5_000_000_000n, selection: "peer",
};

let core: Core;
let now: bigint;
beforeEach(() => {
  core = new Core();
  now = NOW;
  const at = core.fields("SERVER", ["STRATUM", "LEAP", "REFID", "ROOT_DELAY", "PRECISION"]);
  core.view.setUint8(at.STRATUM, 2);
  core.view.setUint8(at.LEAP, 1);
  core.setU32(at.REFID, 0xc0000201);
  core.setI64(at.ROOT_DELAY, 1n << 30n);
  core.view.setInt8(at.PRECISION, -23);
});

interface Response { error: number; status: number; text: string; data: Uint8Array; fragments: Uint8Array[] }

function ask(report: ControlReport, { opcode = 2, association = 0, list = "" } = {}, responder = new ControlResponder(core, () => now, () => report)): Response {
  const at = core.constant("SLOTS");
  const data = new TextEncoder().encode(list);
  core.bytes.set([0x16, opcode, 0x12, 0x34, 0, 0, association >> 8, association & 255, 0, 0, 0, data.length], at);
  core.bytes.set(data, at + 12);
  const fragments = responder.answer(at, 12 + data.length);
  return { fragments, ...assemble(fragments) };
}

/** Put fragments together as ntpq does, and find fault with any. */
function assemble(fragments: readonly Uint8Array[]): Omit<Response, "fragments"> {
  const whole: number[] = [];
  let [status, error] = [0, 0];
  fragments.forEach((fragment, index) => {
    const view = new DataView(fragment.buffer, fragment.byteOffset);
    const count = view.getUint16(10);
    status = view.getUint16(4);
    error = fragment[1]! & 0x40 ? status >> 8 : 0;
    expect(fragment[1]! & 0x80).toBe(0x80);
    expect([(fragment[1]! & 0x20) !== 0, view.getUint16(2), view.getUint16(8), fragment.length % 4]).toEqual([index + 1 < fragments.length, 0x1234, whole.length, 0]);
    expect(fragment.length).toBeLessThanOrEqual(480);
    whole.push(...fragment.subarray(12, 12 + count));
  });
  const data = Uint8Array.from(whole);
  return { status, error, data, text: new TextDecoder().decode(data) };
}

const variables = (text: string) => Object.fromEntries(text.trim().split(/,\s*/).map((item) => item.split("=") as [string, string]));

describe("read status", () => {
  it("of the system lists the sources with their status words", () => {
    const { status, data } = ask({ sources: [SOURCE, { ...SOURCE, reach: 0, selection: "reject" }, { ...SOURCE, authenticated: true, selection: "candidate" }] }, { opcode: 1 });
    expect(status).toBe((1 << 14) | (6 << 8));
    const view = new DataView(data.buffer);
    expect([0, 4, 8].map((at) => [view.getUint16(at), view.getUint16(at + 2).toString(16)])).toEqual([[1, "9600"], [2, "8000"], [3, "f400"]]);
  });

  it("of a source gives its variables; of as many sources as there may be, one fragment", () => {
    expect(ask({ sources: [SOURCE] }, { opcode: 1, association: 1 }).text).toContain("srcadr=192.0.2.1");
    expect(ask({ sources: Array<ControlSource>(500).fill(SOURCE) }, { opcode: 1 }).data.length).toBe(468);
  });
});

describe("read variables", () => {
  it("of the system says what the server tells everybody", () => {
    const { text, status } = ask({ offset: -0.0005, jitter: 1e-6, frequencyPpm: -12.3456, sources: [SOURCE] });
    expect(variables(text)).toMatchObject({
      leap: "1", stratum: "2", precision: "-23", rootdelay: "250.000000", refid: "192.0.2.1", peer: "1", offset: "-0.500000", frequency: "-12.346", sys_jitter: "0.001000",
    });
    expect(variables(text)["clock"]).toMatch(/^0x[\da-f]{8}\.[\da-f]{8}$/);
    expect(status).toBe((1 << 14) | (6 << 8));
  });

  it("of a server without time says so", () => {
    core.view.setUint8(core.fields("SERVER", ["STRATUM"]).STRATUM, 16);
    const { text, status } = ask({});
    expect(variables(text)).toMatchObject({ leap: "3", stratum: "16", refid: "INIT", peer: "0" });
    expect(status).toBe(3 << 14);
  });

  it("of a source has all that ntpq -p shows", () => {
    const { text, status } = ask({ sources: [SOURCE] }, { association: 1 });
    expect(variables(text)).toMatchObject({ srcadr: "192.0.2.1", stratum: "1", refid: "GPS", hmode: "3", pmode: "4", hpoll: "6", ppoll: "6", reach: "0xff", offset: "1.250000", delay: "20.000000", jitter: "0.100000", leap: "0", unreach: "0" });
    expect(status).toBe(0x9600);
  });

  it("of a list gives those, in its order", () => {
    for (const list of ["stratum,leap", " stratum, leap ", "stratum=,leap=5", "stratum,leap\0\0"]) expect(ask({}, { list }).text).toBe("stratum=2, leap=1\r\n");
  });

  it("cannot be broken out of by a name", () => {
    const { text } = ask({ sources: [{ ...SOURCE, name: 'a", leap=11, x="\r\nb' }] }, { association: 1, list: "srchost" });
    expect(text).toBe('srchost="a?? leap=11? x=???b"\r\n');
  });
});

describe("errors", () => {
  it.each([[{ opcode: 3 }, 3], [{ opcode: 31 }, 3], [{ association: 2 }, 4], [{ association: 65535 }, 4], [{ list: "nonsense" }, 5], [{ list: "leap,nonsense" }, 5]])(
    "%j is error %i, and no data", (request, code) => {
      const { error, data, fragments } = ask({ sources: [SOURCE] }, request);
      expect([error, data.length, fragments.length]).toEqual([code, 0, 1]);
    },
  );
});

describe("answers", () => {
  it("have eight fragments at most, cut between variables", () => {
    const list = Array<string>(31).fill("srchost").join(",");
    const { fragments, text } = ask({ sources: [{ ...SOURCE, name: "n".repeat(128) }] }, { association: 1, list });
    expect(fragments.length).toBeLessThanOrEqual(8);
    expect(fragments.length).toBeGreaterThan(6);
    for (const item of text.trim().split(/,\s*/)) expect(item).toBe(`srchost="${"n".repeat(128)}"`);
  });

  it("are 250 a second at most", () => {
    const responder = new ControlResponder(core, () => now);
    const answered = () => ask({}, {}, responder).fragments.length > 0;
    expect(Array.from({ length: 300 }, answered).filter(Boolean).length).toBe(250);
    now += 1_000_000_000n;
    expect(answered()).toBe(true);
  });

  it("are due to requests alone", () => {
    const at = core.constant("SLOTS");
    core.bytes.set([0x16, 0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], at);
    expect(new ControlResponder(core, () => now).answer(at, 12)).toEqual([]);
  });
});
