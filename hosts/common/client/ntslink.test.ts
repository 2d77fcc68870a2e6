// SPDX-License-Identifier: MIT OR Apache-2.0
/** When keys are asked for, and when not: a server, or somebody in its name, must not make us ask without end. */
import { describe, expect, it } from "vitest";
import { NtpError } from "../errors.ts";
import { Backoff } from "../nts/backoff.ts";
import type { Established } from "./keyring.ts";
import { NtsLink, type LinkResult } from "./ntslink.ts";

const keys = (mark = 0, more: Partial<Established> = {}): Established => ({
  aead: 15, c2s: Uint8Array.of(mark), s2c: Uint8Array.of(mark), cookies: [Uint8Array.of(1), Uint8Array.of(2)], host: "192.0.2.1", port: 123, ...more,
});

/** A link to a server that does as it is told, and its clock. */
function linkTo(server: () => Promise<Established>) {
  const world = { time: 1000, asked: 0 };
  const link = new NtsLink(() => (world.asked++, server()), () => world.time, new Backoff(() => 0));
  return { world, link };
}

const kind = async (result: Promise<LinkResult>) => (await result).kind;

describe("a link to key establishment", () => {
  it("gives the keys that the server gives", async () => {
    const { link } = linkTo(async () => keys(7));
    expect(await link.establish()).toEqual({ kind: "established", keys: keys(7) });
  });

  it("has one attempt under way at a time", async () => {
    let finish = (_keys: Established) => {};
    const { link, world } = linkTo(() => new Promise((resolve) => (finish = resolve)));
    const first = link.establish();
    expect(await kind(link.establish())).toBe("busy");
    finish(keys());
    expect(await kind(first)).toBe("established");
    expect(world.asked).toBe(1);
  });

  it("tells a failure, and waits longer after each", async () => {
    const { link, world } = linkTo(async () => {
      throw new NtpError("TLS", "no");
    });
    const waits = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      const result = await link.establish();
      if (result.kind !== "failed") throw new Error(result.kind);
      waits.push(result.retryAfter);
      world.time += result.retryAfter;
    }
    expect(waits).toEqual([10, 15, 22.5, 33.75]);
    expect(world.asked).toBe(4);
  });

  it("asks for no others at once when keys brought no authentic answer, whatever kisses say", async () => {
    const { link, world } = linkTo(async () => keys());
    await link.establish();
    for (let second = 0; second < 9; second++) {
      world.time += 1;
      expect(await kind(link.establish())).toBe("failed");
    }
    expect(world.asked).toBe(1);
    world.time += 1;
    expect(await kind(link.establish())).toBe("established");
    expect(world.asked).toBe(2);
  });

  it("asks at once when they did: a server that was started anew has new keys", async () => {
    const { link, world } = linkTo(async () => keys());
    await link.establish();
    link.proven();
    expect(await kind(link.establish())).toBe("established");
    expect(world.asked).toBe(2);
  });

  it("tries what else the server may have meant by AEAD 30 once, with the cookies left", async () => {
    const otherKeys = { c2s: Uint8Array.of(9), s2c: Uint8Array.of(9) };
    const { link, world } = linkTo(async () => keys(1, { otherKeys }));
    await link.establish();
    const second = await link.establish();
    expect(second).toEqual({ kind: "established", keys: keys(9, { cookies: [Uint8Array.of(2)] }) });
    expect(await kind(link.establish())).toBe("failed");
    expect(world.asked).toBe(1);
  });

  it("asks for keys of version 4 where there is a choice, after those of NTPv5 brought nothing; and again for NTPv5 after that", async () => {
    const asked: boolean[] = [];
    const world = { time: 1000 };
    // A server that offers NTPv5 when its keys are established, and then does not speak it.
    const link = new NtsLink(async (_, old = false) => (asked.push(old), keys(0, old ? {} : { version: 5, draft: 0 })), () => world.time, new Backoff(() => 0));
    for (let attempt = 0; attempt < 4; attempt++) {
      expect(await kind(link.establish())).toBe("established");
      world.time += 1000;
    }
    expect(asked).toEqual([false, true, false, true]);
  });

  it("goes on with NTPv5 where its keys brought an authentic answer", async () => {
    const asked: boolean[] = [];
    const link = new NtsLink(async (_, old = false) => (asked.push(old), keys(0, { version: 5, draft: 0 })), () => 1000, new Backoff(() => 0));
    for (let attempt = 0; attempt < 4; attempt++) {
      await link.establish();
      link.proven();
    }
    expect(asked).toEqual([false, false, false, false]);
  });

  it("does not come to doubt NTPv5 by a key establishment that failed", async () => {
    const asked: boolean[] = [];
    const world = { time: 1000 };
    const answers = [keys(0, { version: 5, draft: 0 }), new NtpError("TLS", "no"), new NtpError("TLS", "no"), keys(0)];
    const link = new NtsLink(async (_, old = false) => {
      asked.push(old);
      const answer = answers.shift()!;
      if (answer instanceof Error) throw answer;
      return answer;
    }, () => world.time, new Backoff(() => 0));
    for (let attempt = 0; attempt < 4; attempt++) {
      await link.establish();
      world.time += 1000;
    }
    // The doubt stays until keys of version 4 were had: they are what is missing.
    expect(asked).toEqual([false, true, true, true]);
  });

  it("gives up with the source", async () => {
    let signal: AbortSignal | undefined;
    const link = new NtsLink((given) => ((signal = given), new Promise(() => {})), () => 0);
    void link.establish();
    link.close();
    expect(signal?.aborted).toBe(true);
  });
});
