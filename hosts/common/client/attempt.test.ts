// SPDX-License-Identifier: MIT OR Apache-2.0
/** What comes to the socket of one request: datagrams that are no answer to it, and kisses. Time is virtual. @module */

import { describe, expect, it } from "vitest";
import { A, B, askingStage, errorFrom, sampleOf } from "../../../tests/support/asking.ts";
import { answers, kisses, preceded, silent, withOctet, type Behaviour } from "../../../tests/support/fake-host.ts";

const stage = askingStage();
const { ask, world } = stage;

describe("datagrams that are no answer to this request change nothing", () => {
  const wrongOrigin = (reply: Uint8Array) => withOctet(reply, 31, (reply[31] ?? 0) ^ 1);

  it.each<[string, Behaviour]>([
    ["random octets", preceded([new Uint8Array(48).fill(0xa5)], answers())],
    ["an empty datagram", preceded([new Uint8Array(0)], answers())],
    ["an enormous datagram", preceded([new Uint8Array(65_507)], answers())],
    ["the request itself, reflected", { onRequest(request) { request.deliver(request.data, 1); answers().onRequest?.(request); } }],
    ["a thousand junk datagrams", preceded(Array.from({ length: 1000 }, (_, i) => new Uint8Array(i % 100).fill(i)), answers())],
  ])("%s first, then the answer", async (_, behaviour) => {
    stage.host.at(A, behaviour);
    const ending = await ask(A);
    expect(sampleOf(ending).usable).toBe(true);
    expect(ending.ms).toBe(10);
  });

  it.each<[string, Behaviour, string]>([
    ["an origin wrong by one bit", answers({ spoil: wrongOrigin }), "test2"],
    ["another port", answers({ from: { port: 124 } }), "testF"],
    ["another address", answers({ from: { address: B } }), "testF"],
    ["mode 3", answers({ spoil: (reply) => withOctet(reply, 0, 0x23) }), "testE"],
    ["mode 5", answers({ spoil: (reply) => withOctet(reply, 0, 0x25) }), "testE"],
    ["a later version", answers({ spoil: (reply) => withOctet(reply, 0, 0x2c) }), "testE"],
    ["a truncated header", answers({ spoil: (reply) => reply.subarray(0, 47) }), "testD"],
    ["half an extension field", answers({ spoil: (reply) => Uint8Array.of(...reply, 1, 4, 0, 200) }), "testD"],
    ["a kiss with a wrong origin", kisses("DENY", { spoil: wrongOrigin }), "test2"],
    ["a kiss from another port", kisses("DENY", { from: { port: 124 } }), "testF"],
  ])("%s is no answer; the message counts it", async (_, behaviour, test) => {
    stage.host.at(A, behaviour);
    const error = errorFrom(await ask(A));
    expect(error.code).toBe("TIMEOUT");
    expect(error.message).toMatch(new RegExp(`passed over 2 × [^;]*${test}`));
  });

  it("a reply in two pieces is two pieces of junk", async () => {
    stage.host.at(A, answers({ spoil: (reply) => [reply.slice(0, 24), reply.slice(24)] }));
    expect(errorFrom(await ask(A)).message).toContain("passed over 4 × testD");
  });

  it("a kiss with a wrong origin does not keep the server from being asked again", async () => {
    world({ [A]: [kisses("DENY", { spoil: wrongOrigin }), answers()] });
    expect(sampleOf(await ask("time")).usable).toBe(true);
    expect(stage.host.times(A)).toEqual([0, 2000]);
  });

  it("an answer to the first request after the second is one still", async () => {
    stage.host.at(A, answers({ there: 1500, back: 1500 }));
    const ending = await ask(A);
    expect(sampleOf(ending).delay).toBeCloseTo(3, 6);
    expect(ending.ms).toBe(3000);
  });

  it("an address in another spelling is the same sender", async () => {
    stage.host.at("2001:0db8:0:0::1", answers({ from: { address: "2001:DB8::1" } }));
    expect(sampleOf(await ask("[2001:0db8:0:0::1]:123")).usable).toBe(true);
  });
});

describe("a kiss-o'-death", () => {
  it("is a sample with testA, at once where nobody else can be asked", async () => {
    stage.host.at(A, kisses("RATE"));
    const ending = await ask(A);
    const sample = sampleOf(ending);
    expect(sample).toMatchObject({ kiss: "RATE", usable: false, stratum: 0 });
    expect(sample.problems().map(({ test }) => test)).toContain("testA");
    expect(ending.ms).toBe(10);
  });

  it.each(["DENY", "RSTR", "RATE", "X123"])("of %s is not answered by asking again", async (code) => {
    world({ [A]: kisses(code), [B]: silent });
    const ending = await ask("time");
    expect(sampleOf(ending).kiss).toBe(code);
    expect(stage.host.order).toEqual([A, B, B]);
  });

  it("of one address does not keep the others from being asked", async () => {
    world({ [A]: kisses(), [B]: answers() });
    expect(sampleOf(await ask("time")).address).toBe(B);
  });

  it("is not answered by asking a doubled address again", async () => {
    stage.host.name("time", [A, A]).at(A, kisses());
    await ask("time");
    expect(stage.host.order).toEqual([A]);
  });
});
