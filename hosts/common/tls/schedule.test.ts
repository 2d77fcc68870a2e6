// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The traces of RFC 8448 through the real groups, key schedule, records, messages and signatures. The client of the traces
 * offers things that ours does not (tickets, DSA), so that its hellos are taken as they are.
 */
import { createECDH } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { recordsIn } from "../../../tests/support/tls-server.ts";
import { PipeEnd } from "../../../tests/support/pipe.ts";
import { readCertificate } from "../x509/certificate.ts";
import { verify } from "../x509/algorithms.ts";
import { readCertificateMessage, signedContent } from "./authenticate.ts";
import { Reader } from "./codec.ts";
import { CONTENT, EXTENSION, MESSAGE, SCHEMES } from "./constants.ts";
import { MessageStream } from "./messages.ts";
import { Protection, RecordStream } from "./record.ts";
import { finishedMac, KeySchedule, Transcript } from "./schedule.ts";
import { SUITES } from "./suites.ts";
import { x25519Pair } from "./x25519.ts";

type Trace = Readonly<Record<string, string>>;
const traces = JSON.parse(readFileSync("tests/vectors/tls13-rfc8448.json", "utf8")) as Readonly<Record<string, Trace>>;
const SUITE = SUITES[0]!;
const { hash } = SUITE;
const octets = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? "", "hex"));
const body = (record: string | undefined) => octets(record).subarray(5);

function serverShare(hello: Uint8Array): Uint8Array {
  const reader = new Reader(hello.subarray(4), "ServerHello");
  reader.bytes(34);
  reader.vector(1);
  reader.bytes(3);
  const list = reader.enter(2);
  for (;;) {
    const type = list.number(2);
    const data = list.vector(2);
    if (type === EXTENSION.key_share) return data.subarray(4);
  }
}

async function sharedSecret(trace: Trace): Promise<Uint8Array> {
  const theirs = serverShare(body(trace["serverHello"]));
  if (trace["p256PrivateKey"] === undefined) return x25519Pair(octets(trace["x25519PrivateKey"])).agree(theirs);
  const ours = createECDH("prime256v1");
  ours.setPrivateKey(octets(trace["p256PrivateKey"]));
  return ours.computeSecret(theirs);
}

/** Records over octets that are all there. */
async function recordsOf(stream: Uint8Array, keys: Protection): Promise<RecordStream> {
  const [ours, theirs] = PipeEnd.pair();
  await theirs.write(stream);
  theirs.close();
  const records = new RecordStream(ours);
  records.readWith(keys);
  return records;
}

async function begin(trace: Trace) {
  const transcript = new Transcript();
  transcript.add(body(trace["clientHello"]));
  if (trace["helloRetryRequest"] !== undefined) {
    await transcript.retry(hash);
    transcript.add(body(trace["helloRetryRequest"]));
    transcript.add(body(trace["secondClientHello"]));
  }
  transcript.use(hash);
  transcript.add(body(trace["serverHello"]));
  const schedule = new KeySchedule(hash);
  return { transcript, schedule, keys: await schedule.handshake(await sharedSecret(trace), await transcript.digest()) };
}

describe.each(["simple", "helloRetryRequest", "clientAuthentication", "compatibilityMode"])("RFC 8448, %s", (name) => {
  const trace = traces[name] as Trace;

  test("the server's flight opens, is what the trace says, and authenticates itself", async () => {
    const { transcript, keys } = await begin(trace);
    const messages = new MessageStream(await recordsOf(octets(trace["serverFlight"]), new Protection(SUITE, keys.server)));
    let certificate = new Uint8Array();
    for (const [type, step] of Object.entries(STEPS)) {
      if (trace[step] === undefined) continue;
      const expected = type === "certificate_verify" ? await transcript.digest() : new Uint8Array();
      const mac = await finishedMac(hash, keys.server, await transcript.digest());
      const message = await messages.read(MESSAGE[type as keyof typeof MESSAGE]);
      expect(message.raw).toEqual(octets(trace[step]));
      if (type === "certificate") certificate = message.body.slice();
      if (type === "certificate_verify") expect(await signedBy(certificate, message.body, expected)).toBe(true);
      if (type === "finished") expect(message.body).toEqual(mac);
      transcript.add(message.raw);
    }
    messages.boundary();
  });

  test("the client's flight and both sides' application records come out octet by octet", async () => {
    const { transcript, schedule, keys } = await begin(trace);
    for (const step of Object.values(STEPS)) if (trace[step] !== undefined) transcript.add(octets(trace[step]));
    const application = await schedule.application(await transcript.digest());
    const flight = new MessageStream(await recordsOf(octets(trace["clientFlight"]), new Protection(SUITE, keys.client)));
    for (const type of trace["certificateRequest"] === undefined ? [] : [MESSAGE.certificate, MESSAGE.certificate_verify]) {
      transcript.add((await flight.read(type)).raw);
    }
    expect((await flight.read(MESSAGE.finished)).body).toEqual(await finishedMac(hash, keys.client, await transcript.digest()));
    const [writing, reading] = [new Protection(SUITE, application.client), await recordsOf(fromServer(trace), new Protection(SUITE, application.server))];
    if (trace["clientData"] !== undefined) {
      expect(await writing.seal(CONTENT.application_data, octets(trace["clientData"]))).toEqual(octets(trace["clientDataRecord"]));
      const ticket = await reading.read();
      expect(ticket?.type).toBe(CONTENT.handshake);
      expect(ticket?.data[0]).toBe(MESSAGE.new_session_ticket);
      expect(await reading.read()).toEqual({ type: CONTENT.application_data, data: octets(trace["clientData"]) });
    }
    expect(await writing.seal(CONTENT.alert, Uint8Array.of(1, 0))).toEqual(octets(trace["clientCloseNotify"]));
    expect(await reading.read()).toEqual({ type: CONTENT.alert, data: Uint8Array.of(1, 0) });
    expect(await reading.read()).toBeUndefined();
  });

  test("not with another key exchange: every secret depends on it", async () => {
    const { transcript, schedule } = await begin(trace);
    const keys = await schedule.handshake(new Uint8Array(32), await transcript.digest());
    const [first] = recordsIn(octets(trace["serverFlight"])).filter(([type]) => type === CONTENT.application_data);
    const opened = new Protection(SUITE, keys.server).open(first!.subarray(0, 5), first!.subarray(5));
    await expect(opened).rejects.toMatchObject({ alert: "bad_record_mac" });
  });
});

const STEPS = {
  encrypted_extensions: "encryptedExtensions",
  certificate_request: "certificateRequest",
  certificate: "certificate",
  certificate_verify: "certificateVerify",
  finished: "serverFinished",
} as const;

const fromServer = (trace: Trace) => octets((trace["newSessionTicket"] ?? "") + (trace["serverDataRecord"] ?? "") + (trace["serverCloseNotify"] ?? ""));

/** The traces have RSA keys of 1024 bits, which a handshake would refuse: here only the mathematics is looked at. */
function signedBy(certificate: Uint8Array, message: Uint8Array, transcript: Uint8Array): Promise<boolean> {
  const [leaf] = readCertificateMessage(certificate);
  const reader = new Reader(message, "CertificateVerify");
  const id = reader.number(2);
  const scheme = SCHEMES.find((known) => known.id === id)!;
  return verify(readCertificate(leaf!).publicKey, scheme.algorithm, reader.vector(2), signedContent(transcript));
}

test("before the handshake ends there is nothing to export", async () => {
  await expect(new KeySchedule(hash).exportKey("label", new Uint8Array(), 32)).rejects.toThrow("no exporter");
});
