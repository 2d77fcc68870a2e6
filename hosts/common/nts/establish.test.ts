// SPDX-License-Identifier: MIT OR Apache-2.0
/** A client's establishment of keys: what it asks, what it takes, and every answer that it must not take. RFC 8915 §4. */
import { describe, expect, it } from "vitest";
import { streamPair } from "../../../tests/support/tls-pair.ts";
import { readKeMessage, writeKeMessage, type KeRecord } from "../core/cold.ts";
import { establish, keRequest, type Establishment, type KeRequest } from "./establish.ts";
import { EXPORTER_LABEL, NTPV5_DRAFT, RECORD, compliantExporterRecord, draftRecord, endRecord, numbersRecord, serverRecord } from "./records.ts";

const cookieOf = (length: number, fill = 1): KeRecord => ({ type: RECORD.cookie, critical: false, body: new Uint8Array(length).fill(fill) });
const protocol = (...ids: number[]) => numbersRecord(RECORD.nextProtocol, true, ids);
const aead = (...ids: number[]) => numbersRecord(RECORD.aead, true, ids);
const COOKIE = cookieOf(100);
const ADDRESS = "192.0.2.7";
const V5: KeRequest = { protocols: [NTPV5_DRAFT, 0], draft: "draft-ietf-ntp-ntpv5-08" };

/** What comes of an answer, and the client's end of the stream. */
async function answered(records: readonly KeRecord[] | Uint8Array, request: KeRequest = {}, { close = true } = {}) {
  const [client, server] = streamPair();
  const result = establish(client, ADDRESS, request);
  result.catch(() => {});
  await server.read();
  await server.write(records instanceof Uint8Array ? records : writeKeMessage([...records, endRecord]));
  if (close) server.close();
  return { result, client };
}

async function taken(records: readonly KeRecord[], request: KeRequest = {}): Promise<Establishment> {
  return (await answered(records, request)).result;
}

async function refusal(records: readonly KeRecord[] | Uint8Array, request: KeRequest = {}): Promise<string> {
  const { result } = await answered(records, request);
  const error: { code?: string; message: string } = await result.then(() => { throw new Error("expected a refusal"); }, (caught) => caught);
  expect(error.code).toBe("NTS_KE");
  return error.message;
}

describe("a request", () => {
  const asked = (request: KeRequest) => {
    const told = readKeMessage(writeKeMessage(keRequest(request)), { octets: 65536, records: 64 });
    if (told.verdict !== "complete") throw new Error(JSON.stringify(told));
    return told.records.map(({ type, critical, body }) => [type, critical, ...body]);
  };

  it("offers NTPv4 and the four algorithms, the best first, and that AEAD 30 is meant as the RFC has it", () => {
    expect(asked({})).toEqual([[1, true, 0, 0], [4, true, 0, 30, 0, 15, 0, 17, 0, 16], [1024, false], [0, true]]);
  });

  it("says nothing of AEAD 30 when that is not offered", () => {
    expect(asked({ aeads: [15] })).toEqual([[1, true, 0, 0], [4, true, 0, 15], [0, true]]);
  });

  it("wishes for a server and a port without insisting", () => {
    expect(asked({ aeads: [15], server: "a.example", port: 11123 }).slice(2, 4)).toEqual([[6, false, ...Buffer.from("a.example")], [7, false, 0x2b, 0x73]]);
  });

  it("names the draft of NTPv5 that it means, for who knows drafts", () => {
    expect(asked({ ...V5, aeads: [15] })).toEqual([[1, true, 0x80, 1, 0, 0], [4, true, 0, 15], [0x4001, false, ...Buffer.from("draft-ietf-ntp-ntpv5-08")], [0, true]]);
  });

  it.each([{ aeads: [] }, { protocols: [NTPV5_DRAFT] }, { draft: "draft-ietf-ntp-ntpv5-08" }, { ...V5, draft: "" }, { ...V5, draft: "a b" }, { aeads: [14] }, { aeads: [15, 15] }, { protocols: [] }, { server: "fe80::1%eth0" }, { server: "" }, { port: 0 }, { port: 65536 }, { port: 1.5 }])("that has no meaning is refused before anything is sent: %j", (request) => {
    expect(() => keRequest(request)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

describe("an answer is taken", () => {
  it("with its algorithm, its cookies in order, and keys for each direction that differ", async () => {
    const cookies = [1, 2, 3].map((fill) => cookieOf(104, fill));
    const { c2s, s2c, ...rest } = await taken([protocol(0), aead(15), ...cookies]);
    expect(rest).toEqual({ protocol: 0, aead: 15, cookies: cookies.map(({ body }) => body), host: ADDRESS, port: 123, group: "X25519", warnings: [] });
    expect([c2s.length, s2c.length]).toEqual([32, 32]);
    expect(c2s).not.toEqual(s2c);
  });

  it.each([[15, 32], [16, 48], [17, 64], [30, 16]])("with AEAD %i and keys of %i octets, out of the RFC's context", async (algorithm, length) => {
    const { result, client } = await answered([protocol(0), aead(algorithm), compliantExporterRecord, COOKIE], { aeads: [algorithm] });
    const { c2s, s2c, otherKeys } = await result;
    expect(c2s).toEqual(await client.exportKey(EXPORTER_LABEL, Uint8Array.of(0, 0, 0, algorithm, 0), length));
    expect(s2c).toEqual(await client.exportKey(EXPORTER_LABEL, Uint8Array.of(0, 0, 0, algorithm, 1), length));
    expect(otherKeys).toBeUndefined();
  });

  it("with AEAD 30 and without record 1024: chrony's context first, the RFC's at hand", async () => {
    const { result, client } = await answered([protocol(0), aead(30), COOKIE]);
    const { c2s, s2c, otherKeys } = await result;
    expect(c2s).toEqual(await client.exportKey(EXPORTER_LABEL, Uint8Array.of(0, 0, 0, 15, 0), 16));
    expect(s2c).toEqual(await client.exportKey(EXPORTER_LABEL, Uint8Array.of(0, 0, 0, 15, 1), 16));
    expect(otherKeys?.c2s).toEqual(await client.exportKey(EXPORTER_LABEL, Uint8Array.of(0, 0, 0, 30, 0), 16));
  });

  it("with the protocol's number in the context", async () => {
    const { result, client } = await answered([protocol(NTPV5_DRAFT), aead(15), COOKIE], V5);
    const { protocol: chosen, c2s } = await result;
    expect(chosen).toBe(NTPV5_DRAFT);
    expect(c2s).toEqual(await client.exportKey(EXPORTER_LABEL, Uint8Array.of(0x80, 1, 0, 15, 0), 32));
  });

  it("with the server and port it names", async () => {
    expect(await taken([protocol(0), aead(15), serverRecord(true, "ntp2.example"), numbersRecord(RECORD.port, true, [11123]), COOKIE])).toMatchObject({ host: "ntp2.example", port: 11123 });
  });

  it("with eight of its cookies at most", async () => {
    const { cookies } = await taken([protocol(0), aead(15), ...Array.from({ length: 20 }, (_, i) => cookieOf(100, i))]);
    expect(cookies.map(([first]) => first)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("with records that are not known and not critical", async () => {
    expect(await taken([{ type: 0x3333, critical: false, body: Uint8Array.of(1) }, protocol(0), aead(15), COOKIE])).toMatchObject({ aead: 15 });
  });

  it("in any order", async () => {
    expect(await taken([COOKIE, aead(15), protocol(0)])).toMatchObject({ aead: 15, protocol: 0 });
  });

  it("with a warning that the caller knows", async () => {
    expect(await taken([protocol(0), aead(15), COOKIE, numbersRecord(RECORD.warning, true, [0x8001])], { acceptWarnings: [0x8001] })).toMatchObject({ warnings: [0x8001] });
  });

  it("though the server keeps the connection open", async () => {
    const { result } = await answered([protocol(0), aead(15), COOKIE], {}, { close: false });
    expect(await result).toMatchObject({ aead: 15 });
  });
});

describe("an answer is not taken", () => {
  it.each([[0, "unrecognized critical record"], [1, "bad request"], [2, "internal server error"], [0x7777, "unknown error"]])("with error %i: %s, whatever else it has", async (code, words) => {
    expect(await refusal([protocol(0), aead(15), COOKIE, numbersRecord(RECORD.error, true, [code])])).toContain(words);
  });

  it("with a warning that is not known: RFC 8915 §4.1.4 makes it an error", async () => {
    expect(await refusal([protocol(0), aead(15), COOKIE, numbersRecord(RECORD.warning, true, [3])])).toContain("warns with code 3");
  });

  it("with nothing in common", async () => {
    expect(await refusal([protocol()])).toContain("none of the protocols offered");
    expect(await refusal([protocol(0), aead()])).toContain("none of the AEAD algorithms offered");
  });

  it("with what was not offered, or more than one", async () => {
    expect(await refusal([protocol(1), aead(15), COOKIE])).toContain("expected one protocol");
    expect(await refusal([protocol(0), aead(30), COOKIE], { aeads: [15, 17] })).toContain("expected one algorithm");
    expect(await refusal([protocol(0), aead(1), COOKIE])).toContain("expected one algorithm");
    expect(await refusal([protocol(0), aead(15, 30), COOKIE])).toContain("expected one algorithm");
    expect(await refusal([protocol(0, NTPV5_DRAFT), aead(15), COOKIE], V5)).toContain("expected one protocol");
  });

  it("without protocol, algorithm or cookie", async () => {
    expect(await refusal([aead(15), COOKIE])).toContain("the protocol that the server chose");
    expect(await refusal([protocol(0), COOKIE])).toContain("the AEAD algorithm that the server chose");
    expect(await refusal([protocol(0), aead(15)])).toContain("at least one cookie");
  });

  it("with cookies that NTP cannot carry, even one", async () => {
    for (const length of [99, 102, 772]) expect(await refusal([protocol(0), aead(15), COOKIE, cookieOf(length)])).toContain(`one of ${length}`);
    expect((await taken([protocol(0), aead(15), cookieOf(768)])).cookies.length).toBe(1);
  });

  it("with a critical record that is not known", async () => {
    expect(await refusal([{ type: 0x3333, critical: true, body: new Uint8Array(0) }, protocol(0), aead(15), COOKIE])).toContain("type 13107");
  });

  it("with port 0", async () => {
    expect(await refusal([protocol(0), aead(15), COOKIE, numbersRecord(RECORD.port, true, [0])])).toContain("port 0");
  });

  it("cut off at any octet", async () => {
    const whole = writeKeMessage([protocol(0), aead(15), COOKIE, endRecord]);
    for (let length = 0; length < whole.length; length++) expect(await refusal(whole.subarray(0, length))).toContain(`after ${length} octets`);
  });

  it("of another draft of NTPv5", async () => {
    expect(await refusal([protocol(NTPV5_DRAFT), aead(15), COOKIE, draftRecord("draft-ietf-ntp-ntpv5-07")], V5)).toContain("another draft");
  });

  it("of more than 64 KiB, or of more records than anybody needs", async () => {
    expect(await refusal(writeKeMessage([{ type: 0x3333, critical: false, body: new Uint8Array(65535) }]))).toContain("more octets");
    expect(await refusal([...new Array(70).fill({ type: 0x3333, critical: false, body: new Uint8Array(0) })])).toContain("more records");
  });

  it("of another protocol altogether", async () => {
    expect(await refusal(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"))).toContain("NTS key establishment failed");
  });
});

describe("secrets", () => {
  it("are in no message of an error", async () => {
    const secret = cookieOf(99, 0x5a);
    const message = await refusal([protocol(0), aead(15), secret]);
    expect(message).not.toMatch(/5a5a|90,90|ZZ/);
  });
});
