// SPDX-License-Identifier: MIT OR Apache-2.0
/** Records: in pieces of every size, under each suite, and each one that must be refused. */
import { createCipheriv } from "node:crypto";
import { describe, expect, test } from "vitest";
import { PipeEnd } from "../../../tests/support/pipe.ts";
import { refusal, refused, type Trial } from "../../../tests/support/tls-trial.ts";
import { recordsIn, type Step } from "../../../tests/support/tls-server.ts";
import { concat, number, vector } from "./codec.ts";
import { CONTENT } from "./constants.ts";
import { MOST_PLAIN, Protection, RecordStream } from "./record.ts";
import { expandLabel } from "./schedule.ts";
import { type Suite, SUITES } from "./suites.ts";

const [GCM] = SUITES as [Suite];
const secretOf = ({ hash }: Suite) => new Uint8Array(hash.length).fill(7);
const record = (type: number, data: Uint8Array, version = 0x0303) => concat(number(1, type), number(2, version), vector(2, data));
const numbered = (length: number) => Uint8Array.from({ length }, (_octet, i) => i & 0xff);

/** A reader of these octets, and then of the end. */
async function reading(octets: Uint8Array, keys?: Protection, piece?: number): Promise<RecordStream> {
  const [ours, theirs] = PipeEnd.pair(piece);
  await theirs.write(octets);
  theirs.close();
  const records = new RecordStream(ours);
  if (keys) records.readWith(keys);
  return records;
}

describe.each(SUITES.map((suite) => [suite.name, suite] as const))("%s", (_name, suite) => {
  const secret = secretOf(suite);

  test("seals as node:crypto does, for each number of a record", async () => {
    const key = await expandLabel(suite.hash, secret, "key", new Uint8Array(), suite.keyLength);
    const iv = await expandLabel(suite.hash, secret, "iv", new Uint8Array(), 12);
    for (const sequence of [0, 1, 255, 256, 2 ** 16, 2 ** 23 + 5]) {
      const nonce = Uint8Array.from(iv);
      for (let i = 0; i < 8; i++) nonce[11 - i]! ^= Math.floor(sequence / 256 ** i) & 0xff;
      const names = { TLS_AES_128_GCM_SHA256: "aes-128-gcm", TLS_AES_256_GCM_SHA384: "aes-256-gcm", TLS_CHACHA20_POLY1305_SHA256: "chacha20-poly1305" } as const;
      const name = names[suite.name as keyof typeof names];
      const cipher = createCipheriv(name as "aes-128-gcm", key, nonce, { authTagLength: 16 });
      const plain = numbered(100);
      const header = Uint8Array.of(23, 3, 3, 0, 117);
      cipher.setAAD(header, { plaintextLength: 101 });
      const sealed = Buffer.concat([cipher.update(concat(plain, Uint8Array.of(CONTENT.application_data))), cipher.final(), cipher.getAuthTag()]);
      expect(Buffer.from(await new Protection(suite, secret, sequence).seal(CONTENT.application_data, plain))).toEqual(Buffer.concat([header, sealed]));
    }
  });

  test("what is sealed opens, whatever its length, and nothing else does", async () => {
    for (const length of [0, 1, 15, 16, 17, 1000, MOST_PLAIN]) {
      const sealed = await new Protection(suite, secret).seal(CONTENT.application_data, numbered(length));
      expect(await (await reading(sealed, new Protection(suite, secret))).read()).toEqual({ type: 23, data: numbered(length) });
    }
    const sealed = await new Protection(suite, secret).seal(CONTENT.application_data, numbered(5));
    // Each octet of the header but its first three, which are looked at before, is authentic, and so is each behind it.
    for (let at = 5; at < sealed.length; at++) {
      const changed = sealed.map((octet, i) => (i === at ? octet ^ 1 : octet));
      await expect((await reading(changed, new Protection(suite, secret))).read()).rejects.toMatchObject({ alert: "bad_record_mac" });
    }
    await expect((await reading(sealed, new Protection(suite, secret, 1))).read()).rejects.toMatchObject({ alert: "bad_record_mac" });
    const next = new Protection(suite, secret).next();
    await expect((await reading(sealed, next)).read()).rejects.toMatchObject({ alert: "bad_record_mac" });
  });

  test("a key that has protected all it may is used no more", async () => {
    const last = new Protection(suite, secret, suite.limit - 1);
    await last.seal(CONTENT.application_data, numbered(1));
    await expect(last.seal(CONTENT.application_data, numbered(1))).rejects.toMatchObject({ alert: "internal_error", message: expect.stringContaining("expected new keys") });
    await expect(new Protection(suite, secret, suite.limit).open(new Uint8Array(5), new Uint8Array(20))).rejects.toMatchObject({ alert: "internal_error" });
  });
});

test("padding is passed over", async () => {
  const aead = GCM.aead(await expandLabel(GCM.hash, secretOf(GCM), "key", new Uint8Array(), GCM.keyLength));
  const iv = await expandLabel(GCM.hash, secretOf(GCM), "iv", new Uint8Array(), 12);
  const header = Uint8Array.of(23, 3, 3, 0, 3 + 1 + 50 + 16);
  const sealed = await aead.seal(iv, header, concat(Uint8Array.of(1, 2, 0), Uint8Array.of(23), new Uint8Array(50)));
  const records = await reading(concat(header, sealed), new Protection(GCM, secretOf(GCM)));
  expect(await records.read()).toEqual({ type: 23, data: Uint8Array.of(1, 2, 0) });
});

test("a stream cut into two pieces anywhere, or into pieces of any size, gives the same records", async () => {
  const writing = new Protection(GCM, secretOf(GCM));
  const parts = [numbered(40), new Uint8Array(0), numbered(3)];
  const sealed: Uint8Array[] = [];
  for (const part of parts) sealed.push(await writing.seal(CONTENT.application_data, part));
  const stream = concat(...sealed);
  const check = async (records: RecordStream) => {
    records.readWith(new Protection(GCM, secretOf(GCM)));
    for (const data of parts) expect(await records.read()).toEqual({ type: 23, data });
    expect(await records.read()).toBeUndefined();
  };
  for (let cut = 0; cut <= stream.length; cut++) {
    const [ours, theirs] = PipeEnd.pair();
    await theirs.write(stream.subarray(0, cut));
    await theirs.write(stream.subarray(cut));
    theirs.close();
    await check(new RecordStream(ours));
    if (cut > 0) await check(await reading(stream, undefined, cut));
  }
});

test("a stream that ends inside of a record is an error, between two it is the end", async () => {
  const stream = record(CONTENT.handshake, numbered(10));
  expect(await (await reading(new Uint8Array())).read()).toBeUndefined();
  for (let length = 1; length < stream.length; length++) {
    await expect((await reading(stream.subarray(0, length))).read()).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("middle of a record") });
  }
});

test("what is written comes in records of at most 2^14 octets, in the order of the calls", async () => {
  const [ours, theirs] = PipeEnd.pair();
  const [writing, receiving] = [new RecordStream(ours), new RecordStream(theirs)];
  receiving.readWith(new Protection(GCM, secretOf(GCM)));
  void writing.write(CONTENT.handshake, numbered(3));
  writing.writeWith(new Protection(GCM, secretOf(GCM)));
  await Promise.all([writing.write(CONTENT.application_data, numbered(40_000)), writing.write(CONTENT.application_data, numbered(1))]);
  const [clear, ...sealed] = recordsIn(concat(...ours.written));
  expect(clear).toEqual(record(CONTENT.handshake, numbered(3)));
  expect(sealed.map(({ length }) => length - 5 - 17)).toEqual([MOST_PLAIN, MOST_PLAIN, 40_000 - 2 * MOST_PLAIN, 1]);
});

test("worn keys are renewed by a KeyUpdate in front of what is written next", async () => {
  const [ours, theirs] = PipeEnd.pair();
  const [writing, receiving] = [new RecordStream(ours), new RecordStream(theirs)];
  const half = GCM.limit / 2;
  writing.writeWith(new Protection(GCM, secretOf(GCM), half - 1));
  receiving.readWith(new Protection(GCM, secretOf(GCM), half - 1));
  await writing.renew(numbered(5), false);
  expect(ours.written).toHaveLength(0);
  await writing.write(CONTENT.application_data, numbered(1));
  await writing.renew(numbered(5), false);
  await writing.write(CONTENT.application_data, numbered(2));
  expect(await receiving.read()).toEqual({ type: 23, data: numbered(1) });
  expect(await receiving.read()).toEqual({ type: 22, data: numbered(5) });
  receiving.readNext();
  expect(await receiving.read()).toEqual({ type: 23, data: numbered(2) });
});

/** A handshake in which records of a step are sent otherwise. */
const onWire = (step: Step, change: (record: Uint8Array) => readonly Uint8Array[] | Uint8Array): Trial => ({ wire: (at, good) => (at === step ? change(good) : good) });
const CCS = record(CONTENT.change_cipher_spec, Uint8Array.of(1));

describe("in a handshake", () => {
  test.each<[string, string, Trial, string]>([
    ["unexpected_message", "an empty record of messages in the clear", onWire("server_hello", (good) => [record(22, new Uint8Array()), good]), "an empty record"],
    ["unexpected_message", "an empty alert", onWire("server_hello", () => record(21, new Uint8Array())), "an empty record"],
    ["decode_error", "half an alert", onWire("server_hello", () => record(21, Uint8Array.of(2))), "alert of 2 octets, got 1"],
    ["decode_error", "two alerts in a record", onWire("server_hello", () => record(21, Uint8Array.of(2, 40, 2, 40))), "alert of 2 octets, got 4"],
    ["unexpected_message", "a record of an unknown type", onWire("server_hello", (good) => [record(24, numbered(3)), good]), "got one of type 24"],
    ["unexpected_message", "a protected record before there are keys", onWire("server_hello", (good) => [record(23, numbered(30)), good]), "before there are keys"],
    ["record_overflow", "a long record in the clear", onWire("server_hello", (good) => [record(22, new Uint8Array(MOST_PLAIN + 1)), good]), "at most 16384 octets, got 16385"],
    ["record_overflow", "a long record under keys", onWire("certificate", () => record(23, new Uint8Array(MOST_PLAIN + 257))), "at most 16640 octets, got 16641"],
    ["unexpected_message", "a message in the clear when there are keys", onWire("encrypted_extensions", (good) => [record(22, numbered(6)), good]), "under keys"],
    ["unexpected_message", "an alert in the clear when there are keys", onWire("encrypted_extensions", (good) => [record(21, Uint8Array.of(2, 40)), good]), "under keys"],
    ["bad_record_mac", "a changed octet", onWire("certificate", (good) => good.map((octet, i) => (i === 50 ? octet ^ 4 : octet))), "not authentic"],
    ["bad_record_mac", "a record twice", onWire("encrypted_extensions", (good) => [good, good]), "not authentic"],
    ["bad_record_mac", "a record left out", onWire("encrypted_extensions", () => []), "not authentic"],
    ["bad_record_mac", "a record shorter than its tag", onWire("certificate", () => record(23, numbered(16))), "got one of 16 octets"],
    ["unexpected_message", "a change_cipher_spec that says something else", onWire("encrypted_extensions", (good) => [record(20, Uint8Array.of(2)), good]), "change_cipher_spec"],
    ["unexpected_message", "a long change_cipher_spec", onWire("encrypted_extensions", (good) => [record(20, Uint8Array.of(1, 1)), good]), "change_cipher_spec"],
    ["unexpected_message", "one change_cipher_spec after the other", onWire("encrypted_extensions", (good) => [CCS, CCS, CCS, CCS, CCS, good]), "change_cipher_spec"],
  ])("%s: %s", (alert, _name, trial, message) => refused(alert, message, trial));

  test("unexpected_message: a single change_cipher_spec inside of a message, and not in front of it", async () => {
    const after = (count: number): Trial => {
      let sent = 0;
      return { fragment: 50, wire: (step, good) => (step === "certificate" && sent++ === count ? [CCS, good] : good) };
    };
    expect((await refusal(after(0))).error).toBe("the handshake came about");
    await refused("unexpected_message", "change_cipher_spec", after(1));
  });

  test("an old version number in a record's header means nothing", async () => {
    for (const version of [0x0300, 0x0301, 0x0304]) {
      const { error } = await refusal(onWire("server_hello", (good) => record(22, good.subarray(5), version)));
      expect(error).toBe("the handshake came about");
    }
  });

  test("change_cipher_spec is passed over wherever a server in compatibility mode may send it", async () => {
    for (const step of ["server_hello", "encrypted_extensions", "certificate", "finished"] as const) {
      const { error } = await refusal(onWire(step, (good) => [CCS, good]));
      expect(error, step).toBe("the handshake came about");
    }
  });

  test("the server's own alert ends it", async () => {
    const { error } = await refusal(onWire("server_hello", () => record(21, Uint8Array.of(2, 71))));
    expect(error).toMatchObject({ message: "TLS: the server ended the connection with insufficient_security; no common cipher suite, group or certificate" });
  });
});

describe("under protection", () => {
  const sealing = async (type: number, content: Uint8Array) => reading(await new Protection(GCM, secretOf(GCM)).seal(type, content), new Protection(GCM, secretOf(GCM)));
  test.each<[string, string, number, Uint8Array]>([
    ["unexpected_message", "change_cipher_spec", 20, Uint8Array.of(1)],
    ["unexpected_message", "an unknown type", 99, Uint8Array.of(1)],
    ["unexpected_message", "padding and nothing else", 0, new Uint8Array(10)],
    ["unexpected_message", "an empty message", 22, new Uint8Array()],
    ["unexpected_message", "an empty alert", 21, new Uint8Array()],
    ["record_overflow", "2^14 + 1 octets", 23, new Uint8Array(MOST_PLAIN + 1)],
  ])("%s: %s", async (alert, _name, type, content) => {
    await expect((await sealing(type, content)).read()).rejects.toMatchObject({ alert });
  });
});
