// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Secrets are wiped once nobody needs them: seen in the very buffers that came from the random generator, that went to
 * WebCrypto and that came from it.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { shake } from "../../../tests/support/tls-trial.ts";
import { same } from "../octets.ts";
import { concat } from "./codec.ts";
import { firstShares, retryShare } from "./groups.ts";
import { digest, hmac } from "./hash.ts";
import { Protection, RecordStream } from "./record.ts";
import { expandLabel, KeySchedule } from "./schedule.ts";
import { type Suite, SUITES } from "./suites.ts";

const [GCM, , CHACHA] = SUITES as [Suite, Suite, Suite];
const { hash } = GCM;
const isWiped = (data: Uint8Array) => data.every((octet) => octet === 0);
const secretOctets = (length: number) => new Uint8Array(length).fill(7);

afterEach(() => vi.restoreAllMocks());

/** A generator, and all that it filled. */
function recorder() {
  const drawn: Uint8Array[] = [];
  const random = (bytes: Uint8Array<ArrayBuffer>) => {
    drawn.push(bytes);
    return crypto.getRandomValues(bytes);
  };
  return { random, drawn };
}

describe("our half of a key exchange", () => {
  test.each(["WebCrypto", "noble"])("is wiped when it is forgotten, X25519 by %s, and not before", async (by) => {
    if (by === "noble") vi.spyOn(crypto.subtle, "importKey").mockRejectedValue(new DOMException("Unrecognized name", "NotSupportedError"));
    const { random, drawn } = recorder();
    const shares = await firstShares("prefer", random);
    // An X25519 key and the seed of ML-KEM.
    expect(drawn.map(({ length }) => length)).toEqual([32, 64]);
    expect(drawn.some(isWiped)).toBe(false);
    for (const share of shares) share.forget();
    expect(drawn.every(isWiped)).toBe(true);
  });

  test("leaves no copy of the private key that WebCrypto was given", async () => {
    const imported = vi.spyOn(crypto.subtle, "importKey");
    await retryShare("X25519", recorder().random);
    const [format, key] = imported.mock.calls[0] as unknown as [string, Uint8Array];
    expect(format).toBe("pkcs8");
    expect(isWiped(key)).toBe(true);
  });

  test("leaves no part of the hybrid's secret beside the whole", async () => {
    const [hybrid] = await firstShares("require", recorder().random);
    const derived = vi.spyOn(crypto.subtle, "deriveBits");
    const { cipherText } = ml_kem768.encapsulate(hybrid!.share.subarray(0, 1184));
    const shared = await hybrid!.agree(concat(cipherText, Uint8Array.of(9, ...new Uint8Array(31))));
    expect(isWiped(shared)).toBe(false);
    expect(isWiped(new Uint8Array(await (derived.mock.results[0]!.value as Promise<ArrayBuffer>)))).toBe(true);
  });
});

describe("the key schedule", () => {
  /** What WebCrypto gave from now on. */
  let given: Promise<ArrayBuffer>[];
  beforeEach(async () => {
    // Constants of the suite, which are no secret, are made once.
    const first = new KeySchedule(hash);
    await first.handshake(secretOctets(32), new Uint8Array(32));
    await first.application(new Uint8Array(32));
    given = [];
    const sign = crypto.subtle.sign.bind(crypto.subtle);
    vi.spyOn(crypto.subtle, "sign").mockImplementation((...args) => {
      const result = sign(...args);
      given.push(result);
      return result;
    });
  });
  const left = async () => (await Promise.all(given)).map((buffer) => new Uint8Array(buffer)).filter((data) => !isWiped(data));

  test("wipes what it was given, each step of the way, and at last what it exports from", async () => {
    const shared = secretOctets(32);
    const schedule = new KeySchedule(hash);
    const keys = await schedule.handshake(shared, new Uint8Array(32));
    expect(isWiped(shared)).toBe(true);
    const application = await schedule.application(new Uint8Array(32).fill(1));
    await schedule.exportKey("label", new Uint8Array(), 80);
    expect(given.length).toBeGreaterThan(8);
    expect(await left()).toEqual([]);
    const { exporterSecret } = schedule;
    expect([keys.client, keys.server, application.client, application.server, exporterSecret].some(isWiped)).toBe(false);
    schedule.forget();
    expect(isWiped(exporterSecret)).toBe(true);
    await expect(schedule.exportKey("label", new Uint8Array(), 32)).rejects.toThrow("no exporter");
  });

  test("that is given up after the handshake's keys keeps no master secret", async () => {
    const schedule = new KeySchedule(hash);
    await schedule.handshake(secretOctets(32), new Uint8Array(32));
    schedule.forget();
    await expect.poll(left).toEqual([]);
  });
});

describe("the keys of records", () => {
  /** A suite that shows the keys it was given. */
  function watched(suite: Suite) {
    const keys: Uint8Array[] = [];
    return { keys, suite: { ...suite, aead: (key: Uint8Array) => (keys.push(key), suite.aead(key)) } };
  }
  const idle = () => new RecordStream({ read: () => new Promise(() => {}), write: async () => {}, close: () => {} });

  test.each([GCM, CHACHA])("are wiped with the secret when they are forgotten, and seal nothing any more: %#", async (chosen) => {
    const { suite, keys } = watched(chosen);
    const secret = secretOctets(32);
    const protection = new Protection(suite, secret);
    await protection.seal(23, Uint8Array.of(1));
    expect([secret, ...keys].some(isWiped)).toBe(false);
    protection.forget();
    await expect.poll(() => [secret, ...keys].every(isWiped)).toBe(true);
    await expect(protection.seal(23, Uint8Array.of(1))).rejects.toMatchObject({ alert: "internal_error" });
    await expect(protection.open(Uint8Array.of(23, 3, 3, 0, 18), new Uint8Array(18))).rejects.toMatchObject({ alert: "internal_error" });
  });

  test("give way to new ones that are sound", async () => {
    const secrets = [secretOctets(32), secretOctets(32)];
    const [first, other] = secrets.map((secret) => new Protection(GCM, secret).next()) as [Protection, Protection];
    await expect.poll(() => secrets.every(isWiped)).toBe(true);
    const sealed = await first.seal(23, Uint8Array.of(5));
    expect(await other.open(sealed.subarray(0, 5), sealed.subarray(5))).toEqual({ type: 23, data: Uint8Array.of(5) });
  });

  test("are wiped when others take their place, and when the stream is closed, but not before what was written before", async () => {
    const records = idle();
    const secrets = Array.from({ length: 4 }, () => secretOctets(32)) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    const [reading, writing, nextReading, nextWriting] = secrets;
    records.readWith(new Protection(GCM, reading));
    records.writeWith(new Protection(GCM, writing));
    const written = records.write(23, Uint8Array.of(1));
    records.readWith(new Protection(GCM, nextReading));
    records.writeWith(new Protection(GCM, nextWriting));
    await written;
    await expect.poll(() => secrets.map(isWiped)).toEqual([true, true, false, false]);
    const last = records.write(23, Uint8Array.of(2));
    records.close();
    await last;
    await expect.poll(() => secrets.every(isWiped)).toBe(true);
  });
});

test.each([["X25519", "off"], ["X25519MLKEM768", "require"], ["P-256", "off"]] as const)("of a whole connection over %s, once closed, no key that WebCrypto was given is left", async (group, pq) => {
  const zeros = new Uint8Array(hash.length);
  const salt = await expandLabel(hash, await hmac(hash, zeros, zeros), "derived", await digest(hash, new Uint8Array()), hash.length);
  const imported = vi.spyOn(crypto.subtle, "importKey");
  const { stream, server } = await shake({ group, pq, suite: GCM.id, ...(group === "P-256" ? { retry: { group } } : {}) });
  await stream.write(Uint8Array.of(1));
  await server.records.read();
  stream.close();
  await expect.poll(() => server.client.closed).toBe(true);
  // The server in memory is made of the same parts.
  server.records.close();
  server.schedule.forget();
  const keys = imported.mock.calls.filter(([format, , algorithm]) => format === "pkcs8" || algorithm === "AES-GCM" || (algorithm as { name: string }).name === "HMAC").map(([, key]) => key as unknown as Uint8Array);
  expect(keys.length).toBeGreaterThan(20);
  await expect.poll(() => keys.filter((key) => !isWiped(key) && !same(key, salt))).toEqual([]);
  await expect(stream.exportKey("label", new Uint8Array(), 32)).rejects.toMatchObject({ code: "TLS" });
});
