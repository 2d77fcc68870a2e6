// SPDX-License-Identifier: MIT OR Apache-2.0
/** What a server answers, judged as a client would and record by record. RFC 8915 §4. */
import { describe, expect, it } from "vitest";
import { testJar } from "../../../tests/support/cookies.ts";
import { streamPair } from "../../../tests/support/tls-pair.ts";
import { writeKeMessage, type KeRecord } from "../core/cold.ts";
import { answerTo, type AnswerOptions } from "./answer.ts";
import { establish } from "./establish.ts";
import { receiveKeMessage } from "./receive.ts";
import { NTPV5_DRAFT, RECORD, compliantExporterRecord, draftRecord, endRecord, numbersOf, numbersRecord, serverRecord } from "./records.ts";

const jar = testJar();
const OPTIONS: AnswerOptions = { protocols: [0], aeads: [30, 15, 17, 16], jar, servers: [{}], random: () => 0 };
const protocols = (...ids: number[]) => numbersRecord(RECORD.nextProtocol, true, ids);
const aeads = (...ids: number[]) => numbersRecord(RECORD.aead, true, ids);

async function answer(records: readonly KeRecord[], options: Partial<AnswerOptions> = {}, from = "192.0.2.1") {
  const [, session] = streamPair();
  return answerTo({ records }, session, from, { ...OPTIONS, ...options });
}

/** Numbers of the first record of a type. */
async function said(type: number, records: readonly KeRecord[], options: Partial<AnswerOptions> = {}) {
  const found = (await answer(records, options)).records.find((record) => record.type === type);
  return found && numbersOf(found.body);
}

/** A client of ours asks; both ends' keys, and what the server knows from the first cookie. */
async function exchanged(request: Parameters<typeof establish>[2], options: Partial<AnswerOptions> = {}) {
  const [client, server] = streamPair();
  const established = establish(client, "192.0.2.1", request);
  const received = await receiveKeMessage(server, { octets: 4096, records: 32 });
  if ("ended" in received) throw new Error("ended");
  const { records, outcome } = await answerTo(received, server, "192.0.2.1", { ...OPTIONS, ...options });
  await server.write(writeKeMessage(records));
  return { outcome, established: await established };
}

describe("a request that keeps the rules", () => {
  it.each([15, 16, 17, 30])("gets eight cookies with AEAD %i that hold the very keys of the client, all different", async (aead) => {
    const { outcome, established } = await exchanged({ aeads: [aead] });
    expect(outcome).toBe("served");
    expect(established.cookies.length).toBe(8);
    expect(new Set(established.cookies.map(String)).size).toBe(8);
    for (const cookie of established.cookies) expect(jar.open(cookie)).toEqual({ aead, c2s: established.c2s, s2c: established.s2c });
  });

  it("gets the algorithm that the server prefers", async () => {
    expect(await said(RECORD.aead, [protocols(0), aeads(16, 15, 17), endRecord])).toEqual([15]);
    expect(await said(RECORD.aead, [protocols(0), aeads(16, 15, 17), endRecord], { aeads: [17, 15] })).toEqual([17]);
  });

  it("gets AEAD 30 with record 1024; without it another one, as two contexts are in the field", async () => {
    expect(await said(RECORD.aead, [protocols(0), aeads(30, 15), compliantExporterRecord, endRecord])).toEqual([30]);
    expect(await said(RECORD.compliantExporter, [protocols(0), aeads(30, 15), compliantExporterRecord, endRecord])).toEqual([]);
    expect(await said(RECORD.aead, [protocols(0), aeads(30, 15), endRecord])).toEqual([15]);
    expect(await said(RECORD.compliantExporter, [protocols(0), aeads(15), compliantExporterRecord, endRecord])).toBeUndefined();
  });

  it("gets AEAD 30 in chrony's older way when it has nothing else", async () => {
    const [, session] = streamPair();
    const { records } = await answerTo({ records: [protocols(0), aeads(30), endRecord] }, session, "192.0.2.1", OPTIONS);
    expect(records.some(({ type }) => type === RECORD.compliantExporter)).toBe(false);
    const cookie = records.find(({ type }) => type === RECORD.cookie)!.body;
    expect(jar.open(cookie)?.c2s).toEqual(await session.exportKey("EXPORTER-network-time-security", Uint8Array.of(0, 0, 0, 15, 0), 16));
  });

  it("gets the one protocol that the server prefers, NTPv5 unless another draft is meant", async () => {
    const both = { protocols: [NTPV5_DRAFT, 0], drafts: ["draft-07b", "draft-08"] };
    const chosen = (...records: KeRecord[]) => said(RECORD.nextProtocol, [...records, aeads(15), endRecord], both);
    expect(await chosen(protocols(0, NTPV5_DRAFT), draftRecord("draft-08"))).toEqual([NTPV5_DRAFT]);
    expect(await chosen(protocols(0, NTPV5_DRAFT), draftRecord("draft-07"))).toEqual([0]);
    expect(await chosen(protocols(0, NTPV5_DRAFT))).toEqual([NTPV5_DRAFT]);
    expect(await chosen(protocols(NTPV5_DRAFT), draftRecord("draft-07"))).toEqual([]);
    expect(await chosen(protocols(0, 99))).toEqual([0]);
    expect((await exchanged({ protocols: [NTPV5_DRAFT, 0], draft: "draft-08" }, both)).established.protocol).toBe(NTPV5_DRAFT);
  });

  it("is told of another server and port, in critical records; nothing of its own ones", async () => {
    const { established } = await exchanged({}, { servers: [{ host: "ntp3.example", port: 1123 }] });
    expect(established).toMatchObject({ host: "ntp3.example", port: 1123 });
    const { records } = await answer([protocols(0), aeads(15), endRecord], { servers: [{ host: "a.example", port: 1123 }] });
    expect(records.filter(({ critical, type }) => critical && (type === RECORD.server || type === RECORD.port)).length).toBe(2);
    expect((await answer([protocols(0), aeads(15), endRecord])).records.some(({ type }) => type === RECORD.server || type === RECORD.port)).toBe(false);
  });

  it("is told of the server that it wished for, if that is ours", async () => {
    const servers = [{ host: "a.example" }, { host: "b.example", weight: 0 }];
    const wish = (name: string) => answer([protocols(0), aeads(15), serverRecord(false, name), endRecord], { servers });
    const told = async (name: string) => String.fromCharCode(...(await wish(name)).records.find(({ type }) => type === RECORD.server)!.body);
    expect(await told("B.example")).toBe("b.example");
    expect(await told("evil.example")).toBe("a.example");
  });
});

describe("a request with nothing in common", () => {
  it("gets an empty list, not an error, and no cookies", async () => {
    expect(await answer([protocols(7), aeads(15), endRecord])).toEqual({ outcome: "nothingInCommon", records: [protocols(), endRecord] });
    expect(await answer([protocols(0), aeads(1, 2), endRecord])).toEqual({ outcome: "nothingInCommon", records: [protocols(0), aeads(), endRecord] });
  });
});

describe("a request that breaks the rules", () => {
  const error = (outcome: string, code: number) => ({ outcome, records: [numbersRecord(RECORD.error, true, [code]), endRecord] });

  it("gets error 0 for a critical record that is not known, else error 1", async () => {
    const [, session] = streamPair();
    expect(await answerTo({ refused: "", unknownCritical: true }, session, "", OPTIONS)).toEqual(error("unknownCritical", 0));
    expect(await answerTo({ refused: "", unknownCritical: false }, session, "", OPTIONS)).toEqual(error("badRequest", 1));
  });

  it.each([
    ["no protocol", [aeads(15), endRecord]],
    ["no algorithm", [protocols(0), endRecord]],
    ["an empty list of protocols", [protocols(), aeads(15), endRecord]],
    ["an empty list of algorithms", [protocols(0), aeads(), endRecord]],
    ["an error of its own", [protocols(0), aeads(15), numbersRecord(RECORD.error, true, [0]), endRecord]],
    ["a warning of its own", [protocols(0), aeads(15), numbersRecord(RECORD.warning, true, [0]), endRecord]],
    ["a cookie of its own", [protocols(0), aeads(15), { type: RECORD.cookie, critical: false, body: new Uint8Array(4) }, endRecord]],
  ])("gets error 1 for %s", async (_, records) => {
    expect(await answer(records)).toEqual(error("badRequest", 1));
  });

  it("gets error 2, without a word more, when we cannot make a cookie", async () => {
    const broken = { cookie: () => { throw new Error("the key is 0123"); } };
    expect(await answer([protocols(0), aeads(15), endRecord], { jar: broken })).toEqual(error("internalError", 2));
  });
});
