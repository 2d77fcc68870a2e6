// SPDX-License-Identifier: MIT OR Apache-2.0
/** The server's side of interleaved mode: the exchange of RFC 9769 §2, and what loss, duplicates, reordering and strangers do to it. */
import { describe, expect, it } from "vitest";
import { Core, unsigned } from "../../hosts/common/core/core.ts";
import { packet, seconds } from "../../tests/support/core.ts";
import { TestServer, ipv4, type Outcome } from "../../tests/support/server.ts";

const CLIENT = ipv4(192, 0, 2, 1);
/** How much later than guessed the kernel sees an answer leave. */
const LATER = seconds(0.00003);

const originOf = ({ view }: Outcome) => view.getBigUint64(24);
const receiveOf = ({ view }: Outcome) => view.getBigUint64(32);
const transmitOf = ({ view }: Outcome) => view.getBigUint64(40);
/** The lowest bit of a transmit timestamp, 233 ps, is the table's own. */
const even = (timestamp: bigint) => timestamp & ~1n;

function interleaving(): TestServer {
  const server = new TestServer();
  server.exports.interleaveClients(1);
  return server;
}

/** Tell the core when the answer really left. */
function left(server: TestServer, answer: Outcome, at: bigint): boolean {
  return server.exports.stampTransmitted(receiveOf(answer), at, server.server) !== 0;
}

/** A client as RFC 9769 has it: random transmit and receive timestamps, the server's receive timestamp as origin. */
class Client {
  #echo = 0x1111n;
  last: Outcome | undefined;

  request(): { fields: { originTime: bigint; receiveTime: bigint; transmitTime: bigint } } {
    this.#echo += 0x1_0000_0001n;
    return { fields: { originTime: this.last ? receiveOf(this.last) : 0n, receiveTime: this.last ? this.#echo : 0n, transmitTime: this.#echo ^ 0xabcdefn } };
  }
}

describe("an interleaving client", () => {
  it("gets its first interleaved answer with the third, which brings the second's true transmit timestamp, and so on", () => {
    const server = interleaving();
    const client = new Client();
    let expected: bigint | undefined;
    for (let exchange = 1; exchange <= 6; exchange++) {
      const { fields } = client.request();
      const answer = server.request(CLIENT, fields);
      expect(receiveOf(answer)).toBe(server.now);
      if (exchange < 3) {
        expect(originOf(answer), `exchange ${exchange}`).toBe(fields.transmitTime);
        expect(transmitOf(answer)).toBe(server.now + seconds(0.0001));
        expect(answer.stamped).toBe(false);
      } else {
        expect(originOf(answer), `exchange ${exchange}`).toBe(fields.receiveTime);
        expect(transmitOf(answer)).toBe(even(expected!));
        expect(answer.stamped).toBe(true);
      }
      // Who asks once leaves no trace.
      expect(answer.stampWanted).toBe(exchange > 1);
      expected = server.now + seconds(0.0001) + LATER;
      expect(left(server, answer, expected)).toBe(exchange > 1);
      client.last = answer;
      server.wait(1);
    }
    expect(server.counter("INTERLEAVED")).toBe(4);
    expect(server.counter("STAMPS")).toBe(5);
  });

  it("is told the guess where the true time never came", () => {
    const server = interleaving();
    const first = server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n });
    const guess = transmitOf(first);
    server.wait(1);
    const second = server.request(CLIENT, { originTime: receiveOf(first), receiveTime: 8n, transmitTime: 9n });
    expect([originOf(second), transmitOf(second)]).toEqual([8n, even(guess)]);
  });

  it("whose answer was lost asks with the same origin again, and is served again, as long as there is room", () => {
    const server = interleaving();
    const first = server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n });
    for (const echo of [8n, 18n]) {
      server.wait(1);
      const again = server.request(CLIENT, { originTime: receiveOf(first), receiveTime: echo, transmitTime: echo + 1n });
      expect([originOf(again), transmitOf(again)]).toEqual([echo, even(transmitOf(first))]);
    }
  });

  it("sees two answers to a duplicated request that both fit it", () => {
    const server = interleaving();
    const first = server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n });
    server.wait(1);
    const fields = { originTime: receiveOf(first), receiveTime: 8n, transmitTime: 9n };
    const answers = [server.request(CLIENT, fields), server.request(CLIENT, fields)];
    expect(answers.map(originOf)).toEqual([8n, 8n]);
    expect(new Set(answers.map(receiveOf)).size).toBe(2);
  });

  it("whose requests overtake each other gets for each the pair that it names", () => {
    const server = interleaving();
    const pairs = [1n, 2n].map((n) => {
      const answer = server.request(CLIENT, { originTime: 5n + n, receiveTime: 6n, transmitTime: 7n });
      server.wait(0.25);
      return { receive: receiveOf(answer), transmit: transmitOf(answer) };
    });
    for (const { receive, transmit } of pairs.reverse()) {
      expect(transmitOf(server.request(CLIENT, { originTime: receive, receiveTime: 8n, transmitTime: 9n }))).toBe(even(transmit));
      server.wait(0.25);
    }
  });

  it("behind an address it shares or has changed is served all the same", () => {
    const server = interleaving();
    const first = server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n });
    server.wait(1);
    expect(originOf(server.request(ipv4(198, 51, 100, 9), { originTime: receiveOf(first), receiveTime: 8n, transmitTime: 9n }))).toBe(8n);
  });
});

describe("a basic answer is due", () => {
  const cases: Record<string, { originTime: bigint; receiveTime: bigint; transmitTime: bigint }> = {
    "to an origin that nobody was told": { originTime: 0xeead4791_12345678n, receiveTime: 8n, transmitTime: 9n },
    "to a request without origin": { originTime: 0n, receiveTime: 8n, transmitTime: 9n },
  };
  it.each(Object.entries(cases))("%s", (_what, fields) => {
    const server = interleaving();
    server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n });
    server.wait(1);
    expect(originOf(server.request(CLIENT, fields))).toBe(fields.transmitTime);
  });

  it("where receive and transmit are equal: the mode of the answer could not be told", () => {
    const server = interleaving();
    const first = server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n });
    server.wait(1);
    const answer = server.request(CLIENT, { originTime: receiveOf(first), receiveTime: 9n, transmitTime: 9n });
    expect([originOf(answer), answer.stampWanted]).toEqual([9n, false]);
  });

  it("in symmetric mode, always", () => {
    const server = interleaving();
    const first = server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n });
    server.wait(1);
    const answer = server.request(CLIENT, { mode: 1, originTime: receiveOf(first), receiveTime: 8n, transmitTime: 9n });
    expect([originOf(answer), answer.stampWanted]).toEqual([9n, false]);
  });

  it("while the mode is off, and once it was switched off all pairs are gone", () => {
    const server = new TestServer();
    const fields = { originTime: 5n, receiveTime: 6n, transmitTime: 7n };
    const told = server.request(CLIENT, fields);
    expect(told.stampWanted).toBe(false);
    server.exports.interleaveClients(1);
    const first = server.request(CLIENT, fields);
    server.exports.interleaveClients(0);
    server.exports.interleaveClients(1);
    server.wait(1);
    expect(originOf(server.request(CLIENT, { originTime: receiveOf(first), receiveTime: 8n, transmitTime: 9n }))).toBe(9n);
  });

  it("never has equal receive and transmit timestamps", () => {
    const server = interleaving();
    const answer = server.ask(CLIENT, packet({ transmitTime: 7n }), 0n);
    expect(transmitOf(answer)).toBe(receiveOf(answer) + 1n);
  });
});

describe("receive timestamps", () => {
  it("are told once each, though a coarse clock gives the same one to many", () => {
    const server = interleaving();
    const told = Array.from({ length: 12 }, () => receiveOf(server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n })));
    expect(new Set(told).size).toBe(12);
    for (const one of told) expect(one - server.now).toBeLessThan(16n);
  });
});

describe("the table", () => {
  it("is bounded, and drops the oldest", () => {
    const server = interleaving();
    const receives: bigint[] = [];
    for (let i = 0; i < 100_000; i++) {
      receives.push(receiveOf(server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n })));
      server.now += 4_000_001n;
    }
    const known = (receive: bigint) => server.exports.stampTransmitted(receive, receive + 4n, server.server) !== 0;
    const kept = receives.map(known);
    expect(kept.slice(-30_000).filter((there) => there).length).toBeGreaterThan(28_000);
    expect(kept.filter((there) => there).length).toBeLessThanOrEqual(65_536);
    expect(kept.slice(0, 10_000).filter((there) => there).length).toBeLessThan(2000);
  });

  it("drops a pair that was used before one that was not: a busy client pushes nobody out", () => {
    const server = interleaving();
    const idle: bigint[] = [];
    for (let i = 0; i < 30_000; i++) {
      idle.push(receiveOf(server.request(CLIENT, { originTime: 5n, receiveTime: 6n, transmitTime: 7n })));
      server.now += 4_000_001n;
    }
    let origin = idle.pop()!;
    for (let i = 0; i < 100_000; i++) {
      origin = receiveOf(server.request(CLIENT, { originTime: origin, receiveTime: 8n, transmitTime: 9n }));
      server.now += 4_000_001n;
    }
    expect(server.counter("INTERLEAVED")).toBe(100_000);
    expect(idle.filter((receive) => server.exports.stampTransmitted(receive, receive + 4n, server.server) !== 0).length).toBeGreaterThan(26_000);
  });

  it("takes any stamp from outside without a trap, and only for what it told", () => {
    const core = new Core();
    core.exports.interleaveClients(1);
    for (const value of [0n, 1n, -1n, 2n ** 63n]) {
      expect(core.exports.stampTransmitted(BigInt.asIntN(64, value), BigInt.asIntN(64, ~value), core.constant("SERVER"))).toBe(0);
    }
    expect(unsigned(core.u64(core.constant("COUNTERS") + core.constant("COUNTERS_STAMPS")))).toBe(0n);
  });
});
