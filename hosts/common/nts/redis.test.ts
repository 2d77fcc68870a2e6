// SPDX-License-Identifier: MIT OR Apache-2.0
/** Cookie keys shared through a real redis-server, by machines that rotate at the same moment. */
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Peer, eventually, freshDirectory, titled, whySkipped } from "../../../tests/support/peers.ts";
import { TestJar } from "../../../tests/support/cookies.ts";
import type { Rotation } from "./generations.ts";
import { CookieKeyRing } from "./keys.ts";
import { redisKeys, type RedisClient } from "./redis.ts";

const skipped = whySkipped(["redis-server"]);
const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);
const ROTATION: Rotation = { periodMs: DAY, keep: 2, leadMs: DAY / 24 };
const KEY = "escapement:nts:keys";

describe.skipIf(skipped)(titled("keys in Redis", skipped), () => {
  let server: Peer;
  const clients: Redis[] = [];

  beforeAll(async () => {
    const directory = freshDirectory();
    const path = join(directory, "redis.sock");
    server = new Peer("redis-server", ["--port", "0", "--unixsocket", path, "--dir", directory, "--save", ""], { owns: [directory] });
    await eventually("redis-server to be ready", () => /ready to accept/i.test(server.stdout) || undefined, server);
    for (let i = 0; i < 8; i++) clients.push(new Redis({ path }));
  });
  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await server?.stop();
  });
  beforeEach(async () => void (await clients[0]!.flushall()));

  it("are the same for eight machines that begin and rotate at the same moment", async () => {
    for (let at = START; at < START + 6 * DAY; at += DAY / 2) {
      const all = await Promise.all(clients.map((client) => redisKeys(client).generations(at, ROTATION)));
      for (const generations of all) expect(generations).toEqual(all[0]);
    }
  });

  it("let each machine open the others' cookies, at every moment", async () => {
    const clock = { ms: START };
    const rings = await Promise.all(clients.slice(0, 3).map((client) => CookieKeyRing.open(redisKeys(client), { rotation: ROTATION, now: () => clock.ms })));
    const jars = rings.map((ring) => new TestJar(() => ring.keys));
    for (let hour = 0; hour < 60; hour++) {
      clock.ms += DAY / 24;
      // Each looks at its own time; the first has what the last has not yet looked for.
      for (const ring of rings) {
        await ring.refresh();
        const cookies = jars.map((jar) => jar.cookie(15, new Uint8Array(32), new Uint8Array(32)));
        for (const jar of jars) for (const cookie of cookies) expect(jar.open(cookie)).toBeDefined();
      }
    }
    for (const ring of rings) ring.close();
  });

  it("are not rotated twice when the value changes between reading and writing", async () => {
    const [mine, other] = clients as [Redis, Redis];
    let raced = 0;
    const racing: RedisClient = {
      get: async (key) => {
        const text = await mine.get(key);
        if (raced++ === 0) await redisKeys(other).generations(START, ROTATION);
        return text;
      },
      eval: (...args) => mine.eval(...args),
    };
    const generations = await redisKeys(racing).generations(START, ROTATION);
    expect(raced).toBe(2);
    expect(generations).toEqual(await redisKeys(other).generations(START, ROTATION));
    expect(generations.length).toBe(1);
  });

  it("are given up on when the value never stands still", async () => {
    const [mine] = clients as [Redis];
    const never: RedisClient = { get: () => mine.get(KEY), eval: async () => 0 };
    await expect(redisKeys(never).generations(START, ROTATION)).rejects.toMatchObject({ code: "SOCKET", message: expect.stringContaining("same rotation") });
  });

  it("expire when nobody has rotated for as long as they are kept", async () => {
    await redisKeys(clients[0]!).generations(START, ROTATION);
    const left = await clients[0]!.pttl(KEY);
    expect(left).toBeGreaterThan(3.9 * DAY);
    expect(left).toBeLessThanOrEqual(4 * DAY);
  });

  it("do not replace what is not theirs", async () => {
    await clients[0]!.set(KEY, "somebody's");
    await expect(redisKeys(clients[0]!).generations(START, ROTATION)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await clients[0]!.get(KEY)).toBe("somebody's");
  });

  it("live under the key that is asked for", async () => {
    await redisKeys(clients[0]!, { key: "another:key" }).generations(START, ROTATION);
    expect(await clients[0]!.keys("*")).toEqual(["another:key"]);
  });

  it("of a server that has gone are a state of the ring, not its end", async () => {
    const gone = new Redis({ path: "/nonexistent/redis.sock", lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
    gone.on("error", () => {});
    const store = redisKeys(clients[0]!);
    let broken = false;
    const ring = await CookieKeyRing.open({ generations: (...args) => (broken ? redisKeys(gone) : store).generations(...args) });
    const { current } = ring.keys;
    broken = true;
    await ring.refresh();
    expect(ring.keys.current).toBe(current);
    ring.close();
  });
});
