// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Cookie keys in Redis or Valkey, shared by a fleet of servers. Takes a client of the shape of ioredis; knows no client itself.
 *
 * All keys are one value, which is replaced only if it is still what was read (a script does both at once): of machines that
 * rotate at the same moment one does, and the others take its keys. The value expires when nobody has rotated for as long as
 * keys are kept. Redis sees the keys: guard it as you would the file. Tested in redis.test.ts with a real server.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { advance } from "./generations.ts";
import { formatGenerations, parseGenerations } from "./keytext.ts";
import type { KeyStore, Random } from "./stores.ts";

/** What is used of ioredis. */
export interface RedisClient {
  get(key: string): Promise<string | null>;
  eval(script: string, numberOfKeys: number, ...keysAndArguments: (string | number)[]): Promise<unknown>;
}

/** KEYS[1]: where; ARGV: what was read ("" for nothing), what to put there, ms until it expires. */
const REPLACE_IF_UNCHANGED = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/** Others are at it, too; one of them gets through each time. */
const TRIES = 16;
export const DEFAULT_REDIS_KEY = "escapement:nts:keys";

export interface RedisKeyOptions {
  /** Under which key they are kept. Default {@link DEFAULT_REDIS_KEY}. */
  readonly key?: string;
  /** Default the runtime's. */
  readonly random?: Random;
}

/**
 * A store for `serve({ nts: { store } })`, which all servers of a fleet share.
 *
 * @throws {NtpError} `INVALID_ARGUMENT` when something else is kept there, `SOCKET` when all of its tries were in vain; and what
 * the client rejects with
 */
export function redisKeys(client: RedisClient, { key = DEFAULT_REDIS_KEY, random = (bytes) => crypto.getRandomValues(bytes) }: RedisKeyOptions = {}): KeyStore {
  return {
    async generations(nowMs, rotation) {
      for (let tries = 0; tries < TRIES; tries++) {
        const text = (await client.get(key)) ?? "";
        const stored = text === "" ? [] : parseGenerations(text, `the Redis key ${key}`);
        const next = advance(stored, nowMs, rotation, random);
        if (!next) return stored;
        const expires = Math.ceil((rotation.keep + 2) * rotation.periodMs);
        if ((await client.eval(REPLACE_IF_UNCHANGED, 1, key, text, formatGenerations(next), expires)) === 1) return next;
      }
      throw new NtpError("SOCKET", `could not rotate the NTS keys in the Redis key ${key}: it changed ${TRIES} times in a row; do all servers have the same rotation?`);
    },
  };
}
