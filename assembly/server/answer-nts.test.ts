// SPDX-License-Identifier: MIT OR Apache-2.0
/** NTS requests through all that a server does around an answer: interleaved under the seal, counted, limited, never kissed in the clear. */
import { beforeEach, describe, expect, it } from "vitest";
import { NtsCookies } from "../../hosts/common/server/ntscookies.ts";
import { clientsOf } from "../../hosts/common/server/clients.ts";
import { seconds } from "../../tests/support/core.ts";
import { KEY_LENGTHS, ntsRequest, readAnswer, type Session } from "../../tests/support/nts.ts";
import { TestServer, ipv4, kindOf } from "../../tests/support/server.ts";

const CLIENT = ipv4(192, 0, 2, 1);
const session: Session = { aead: 15, c2s: new Uint8Array(KEY_LENGTHS[15]!).fill(3), s2c: new Uint8Array(KEY_LENGTHS[15]!).fill(5) };
let server: TestServer;
let cookies: NtsCookies;

beforeEach(() => {
  server = new TestServer();
  cookies = new NtsCookies(server.core, (bytes) => crypto.getRandomValues(bytes));
  cookies.setKeys([{ id: 1, key: new Uint8Array(32).fill(7) }], 1);
  cookies.seed();
  server.exports.gateLog(1);
});

const cookie = () => cookies.cookie(session.aead, session.c2s, session.s2c);

describe("an NTS request", () => {
  it("in interleaved mode is answered in it, and the seal covers the true transmit timestamp", () => {
    server.exports.interleaveClients(1);
    const first = server.ask(CLIENT, ntsRequest(session, { cookie: cookie(), originTime: 5n, receiveTime: 6n }));
    expect(readAnswer(session, first.reply).cookies).toHaveLength(1);
    const sent = server.now + seconds(0.0005);
    expect([first.stampWanted, server.exports.stampTransmitted(first.view.getBigUint64(32), sent, server.server)]).toEqual([true, 1]);
    server.wait(1);
    const second = server.ask(CLIENT, ntsRequest(session, { cookie: cookie(), originTime: first.view.getBigUint64(32), receiveTime: 8n }));
    expect(readAnswer(session, second.reply).cookies).toHaveLength(1);
    expect([second.view.getBigUint64(24), second.view.getBigUint64(40)]).toEqual([8n, sent & ~1n]);
    expect(server.counters()).toMatchObject({ NTS: 2, INTERLEAVED: 1, ANSWERED: 2 });
    expect(clientsOf(server.core, server.now)).toMatchObject([{ authenticated: 2, interleaved: 1 }]);
  });

  it("with a forged tag gets NTSN, begins nothing, and does not count as authenticated", () => {
    server.exports.interleaveClients(1);
    const forged = ntsRequest(session, { cookie: cookie(), originTime: 5n, receiveTime: 6n });
    forged[forged.length - 1]! ^= 1;
    const answer = server.ask(CLIENT, forged);
    expect(String.fromCharCode(...answer.reply.subarray(12, 16))).toBe("NTSN");
    expect(answer.stampWanted).toBe(false);
    expect(server.counter("NTS")).toBe(0);
    expect(clientsOf(server.core, server.now)).toMatchObject([{ requests: 1, authenticated: 0 }]);
  });

  it("over the limit gets silence: a kiss without a seal could be anybody's", () => {
    server.limit(1000, 1);
    server.exports.limitKisses(0n, 0n, 1);
    const kinds = [1, 2].map(() => kindOf(server.ask(CLIENT, ntsRequest(session, { cookie: cookie() }))));
    expect(kinds).toEqual(["time", "none"]);
    expect(server.counters()).toEqual({ RECEIVED: 2, ANSWERED: 1, NTS: 1, LIMITED: 1 });
  });
});
