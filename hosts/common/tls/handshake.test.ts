// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The protected part of the handshake: each message missing, twice, early, late, cut or false, and the alert for it. That a
 * certificate is bad is in client.test.ts.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { issue } from "../../../tests/support/pki.ts";
import { ca, leaf, NAME, refusal, refused, type Trial } from "../../../tests/support/tls-trial.ts";
import { certificateVerify, extension, type Step } from "../../../tests/support/tls-server.ts";
import { ascii, concat, number, vector } from "./codec.ts";
import { EXTENSION, MESSAGE } from "./constants.ts";
import { handshake } from "./hello.ts";
import { keyUpdate } from "./handshake.ts";

const instead = (step: Step, ...messages: readonly Uint8Array[]): Trial => ({ edit: (at, message) => (at === step ? messages : message) });
const mapped = (step: Step, change: (message: Uint8Array) => Uint8Array | readonly Uint8Array[]): Trial => ({ edit: (at, message) => (at === step ? change(message) : message) });
const NEVER = Uint8Array.of(99, 0, 0, 0);
const FLIGHT = ["encrypted_extensions", "certificate", "certificate_verify", "finished"] as const;

describe("the order of messages", () => {
  const follower = { encrypted_extensions: "certificate", certificate: "certificate_verify", certificate_verify: "finished" } as const;

  test.each(Object.entries(follower))("unexpected_message: without %s comes %s too early", async (missing, next) => {
    await refused("unexpected_message", new RegExp(`expected .*${missing}.*, got ${next}`), instead(missing as Step));
  });

  test("without Finished nothing is established", async () => {
    const { error } = await refusal({ ...instead("finished"), signal: AbortSignal.timeout(300) });
    expect(error).toMatchObject({ code: "TIMEOUT" });
  });

  test.each(FLIGHT.slice(0, -1))("unexpected_message: %s twice", async (step) => {
    await refused("unexpected_message", `got ${step}`, mapped(step, (message) => [message, message]));
  });

  test("bad_record_mac: Finished twice, as the second comes under keys that are gone", async () => {
    const { stream } = await refusal(mapped("finished", (message) => [message, message]));
    await expect(stream?.read()).rejects.toMatchObject({ code: "TLS", alert: "bad_record_mac" });
  });

  test.each(["server_hello", ...FLIGHT] as const)("unexpected_message: something unknown before %s", async (step) => {
    await refused("unexpected_message", "got handshake message 99", mapped(step, (message) => [NEVER, message]));
  });

  test.each<[string, Uint8Array]>([
    ["a HelloRequest of TLS 1.2", Uint8Array.of(0, 0, 0, 0)],
    ["a ServerHelloDone of TLS 1.2", Uint8Array.of(14, 0, 0, 0)],
    ["a ticket", handshake(MESSAGE.new_session_ticket, new Uint8Array(20))],
    ["a KeyUpdate", keyUpdate(false)],
    ["an EndOfEarlyData", Uint8Array.of(5, 0, 0, 0)],
    ["a ClientHello", handshake(MESSAGE.client_hello, new Uint8Array(50))],
  ])("unexpected_message: %s during the handshake", async (_name, message) => {
    await refused("unexpected_message", "expected ", mapped("certificate_verify", (good) => [message, good]));
  });

  test("unexpected_message: a CertificateRequest after the Certificate", async () => {
    await refused("unexpected_message", "got certificate_request", mapped("certificate_verify", (good) => [handshake(MESSAGE.certificate_request, vector(1), vector(2)), good]));
  });
});

describe("keys change between messages only", () => {
  test("unexpected_message: EncryptedExtensions in the clear behind ServerHello", async () => {
    const early = handshake(MESSAGE.encrypted_extensions, vector(2));
    await refused("unexpected_message", "across a change of keys", mapped("server_hello", (hello) => concat(hello, early)));
  });

  test("unexpected_message: the beginning of a message behind ServerHello", async () => {
    await refused("unexpected_message", "across a change of keys", mapped("server_hello", (hello) => concat(hello, number(1, 8))));
  });

  test("unexpected_message: anything behind Finished", async () => {
    const ticket = handshake(MESSAGE.new_session_ticket, new Uint8Array(20));
    await refused("unexpected_message", "across a change of keys", mapped("finished", (finished) => concat(finished, ticket)));
  });
});

describe("EncryptedExtensions is refused", () => {
  const of = (...list: readonly Uint8Array[]) => instead("encrypted_extensions", handshake(MESSAGE.encrypted_extensions, vector(2, ...list)));
  const protocols = (...names: readonly string[]) => extension(EXTENSION.alpn, vector(2, ...names.map((name) => vector(1, ascii(name)))));
  test.each<[string, string, Trial, string]>([
    ["no_application_protocol", "without a protocol", { protocol: false }, "expected the server to choose one of the protocols ntske/1"],
    ["illegal_parameter", "with another protocol", { protocol: "http/1.1" }, 'expected one of ntske/1, got "http/1.1"'],
    ["unsupported_extension", "with a protocol that nobody asked for", { alpn: [] }, "was not asked for"],
    ["decode_error", "with two protocols", of(protocols("ntske/1", "h2")), "1 octets|more octets"],
    ["decode_error", "with octets behind the protocol", of(extension(EXTENSION.alpn, vector(2, vector(1, ascii("ntske/1"))), number(1, 0))), "more octets"],
    ["decode_error", "with an empty protocol", of(protocols("")), "vector of"],
    ["illegal_parameter", "with a key share", of(protocols("ntske/1"), extension(EXTENSION.key_share)), "no place here"],
    ["illegal_parameter", "with signature algorithms", of(protocols("ntske/1"), extension(EXTENSION.signature_algorithms)), "no place here"],
    ["illegal_parameter", "with a cookie's place taken twice", of(protocols("ntske/1"), protocols("ntske/1")), "is there twice"],
    ["unsupported_extension", "with early data", of(protocols("ntske/1"), extension(42)), "was not asked for"],
    ["decode_error", "with a name in server_name", of(protocols("ntske/1"), extension(EXTENSION.server_name, number(1, 1))), "empty server_name"],
    ["unsupported_extension", "with server_name when an address was asked", { ...of(protocols("ntske/1"), extension(EXTENSION.server_name)), serverName: "192.0.2.1" }, "was not asked for"],
    ["decode_error", "with octets behind it", instead("encrypted_extensions", handshake(MESSAGE.encrypted_extensions, vector(2), number(1, 0))), "more octets"],
    ["decode_error", "cut", instead("encrypted_extensions", handshake(MESSAGE.encrypted_extensions, number(1, 0))), "expected 2 octets"],
  ])("%s: %s", (alert, _name, trial, message) => refused(alert, new RegExp(message), trial));
});

describe("CertificateRequest is refused", () => {
  const of = (...body: readonly Uint8Array[]): Trial => ({ requestCertificate: true, ...instead("certificate_request", handshake(MESSAGE.certificate_request, ...body)) });
  const schemes = extension(EXTENSION.signature_algorithms, vector(2, number(2, 0x0403)));
  test.each<[string, string, Trial]>([
    ["illegal_parameter", "with a context", of(vector(1, number(1, 1)), vector(2, schemes))],
    ["missing_extension", "without signature algorithms", of(vector(1), vector(2))],
    ["illegal_parameter", "with them twice", of(vector(1), vector(2, schemes, schemes))],
    ["decode_error", "cut", of(vector(1))],
  ])("%s: %s", (alert, _name, trial) => refused(alert, /CertificateRequest/, trial));
});

describe("Certificate is refused", () => {
  const entry = (der: Uint8Array, ...extensions: readonly Uint8Array[]) => concat(vector(3, der), vector(2, ...extensions));
  const of = (context: Uint8Array, ...list: readonly Uint8Array[]) => instead("certificate", handshake(MESSAGE.certificate, vector(1, context), vector(3, ...list)));
  const none = new Uint8Array();
  test.each<[string, string, Trial, string]>([
    ["decode_error", "when empty", of(none), "expected the server's certificate, got none"],
    ["illegal_parameter", "with a context", of(number(1, 0), entry(leaf.der)), "no request context"],
    ["unsupported_extension", "with an OCSP answer that was not asked for", of(none, entry(leaf.der, extension(5))), "extension 5"],
    ["decode_error", "with an empty certificate", of(none, entry(none)), "vector of 1 to"],
    ["decode_error", "cut", instead("certificate", handshake(MESSAGE.certificate, vector(1), number(3, 9), number(3, 9))), "expected 9 octets"],
    ["illegal_parameter", "longer than 64 KiB", of(none, entry(leaf.der), ...new Array<Uint8Array>(200).fill(entry(leaf.der))), "at most 65536 octets"],
  ])("%s: %s", (alert, _name, trial, message) => refused(alert, message, trial));
});

describe("CertificateVerify is refused", () => {
  const rsa = issue(ca, { dns: [NAME], algorithm: "rsa2048" });
  const p384 = issue(ca, { dns: [NAME], algorithm: "p384" });
  const signed = (scheme: number) => instead("certificate_verify", handshake(MESSAGE.certificate_verify, number(2, scheme), vector(2, new Uint8Array(70))));
  test.each<[string, string, Trial, string]>([
    ["decrypt_error", "by another key", mapped("certificate_verify", () => certificateVerify(issue(ca), new Uint8Array(32))), "not made with the key"],
    ["decrypt_error", "over another transcript", mapped("certificate_verify", () => certificateVerify(leaf, new Uint8Array(32))), "not made with the key"],
    ["decrypt_error", "with a changed octet", mapped("certificate_verify", (message) => message.map((octet, i) => (i === 30 ? octet ^ 1 : octet))), "not made with the key"],
    ["decrypt_error", "with an empty signature", instead("certificate_verify", handshake(MESSAGE.certificate_verify, number(2, 0x0403), vector(2))), "not made with the key"],
    ["illegal_parameter", "with PKCS #1, which is for certificates only", { chain: [rsa], scheme: 0x0401 }, "0x401"],
    ["illegal_parameter", "with SHA-1", signed(0x0203), "0x203"],
    ["illegal_parameter", "with a scheme not offered", signed(0x0603), "0x603"],
    ["illegal_parameter", "with a scheme for another curve", signed(0x0503), "ecdsa_secp384r1_sha384 with a key of kind P-256"],
    ["illegal_parameter", "with a scheme for another hash than the curve's", { chain: [p384], ...signed(0x0403) }, "ecdsa_secp256r1_sha256 with a key of kind P-384"],
    ["illegal_parameter", "with RSA over an elliptic key", signed(0x0804), "rsa_pss_rsae_sha256 with a key of kind P-256"],
    ["illegal_parameter", "with Ed25519 over another key", signed(0x0807), "ed25519 with a key of kind P-256"],
    ["decode_error", "cut", instead("certificate_verify", handshake(MESSAGE.certificate_verify, number(1, 4))), "expected 2 octets"],
  ])("%s: %s", (alert, _name, trial, message) => refused(alert, message, trial));

  test("decrypt_error: made by a client, or for the client's context", async () => {
    const digest = new Uint8Array(32);
    await refused("decrypt_error", "not made with the key", mapped("certificate_verify", () => certificateVerify(leaf, digest, undefined, "client")));
  });
});

describe("Finished is refused", () => {
  test.each<[string, string, (message: Uint8Array) => Uint8Array, string]>([
    ["decrypt_error", "with a changed octet at the front", (message) => message.map((octet, i) => (i === 4 ? octet ^ 1 : octet)), "have not seen the same handshake"],
    ["decrypt_error", "with a changed octet at the end", (message) => message.map((octet, i) => (i === message.length - 1 ? octet ^ 1 : octet)), "have not seen the same handshake"],
    ["decode_error", "cut", (message) => handshake(MESSAGE.finished, message.subarray(4, -1)), "expected 32 octets, got 31"],
    ["decode_error", "too long", (message) => handshake(MESSAGE.finished, message.subarray(4), number(1, 0)), "expected 32 octets, got 33"],
    ["decode_error", "empty", () => handshake(MESSAGE.finished), "expected 32 octets, got 0"],
  ])("%s: %s", (alert, _name, change, message) => refused(alert, message, mapped("finished", change)));

  test("when somebody changed on the way what the client was told: no key fits any more", async () => {
    const { error } = await refusal({
      retry: { cookie: Uint8Array.of(1, 2, 3) },
      wire: (step, record) => (step === "hello_retry_request" ? record.map((octet, i) => (i === record.length - 1 ? octet ^ 1 : octet)) : record),
    });
    expect(error).toMatchObject({ code: "TLS", message: expect.stringContaining("not authentic") });
  });
});

test("illegal_parameter: a handshake of more than 128 KiB, though each message is good", async () => {
  const large = extension(EXTENSION.supported_groups, new Uint8Array(64_000));
  const protocols = extension(EXTENSION.alpn, vector(2, vector(1, ascii("ntske/1"))));
  const schemes = extension(EXTENSION.signature_algorithms, vector(2, number(2, 0x0403)));
  const bloated: Partial<Record<Step, Uint8Array>> = {
    encrypted_extensions: handshake(MESSAGE.encrypted_extensions, vector(2, protocols, large)),
    certificate_request: handshake(MESSAGE.certificate_request, vector(1), vector(2, schemes, large)),
  };
  const trial: Trial = { requestCertificate: true, edit: (step, message) => bloated[step] ?? message };
  await refused("illegal_parameter", "a handshake of at most 131072 octets", { ...trial, chain: new Array<typeof leaf>(15).fill(leaf) });
  expect((await refusal(trial)).error).toBe("the handshake came about");
});

test.each(FLIGHT)("%s cut anywhere with its length mended is refused with an alert", async (step) => {
  let length = 0;
  await refusal(mapped(step, (message) => ((length = message.length - 4), NEVER)));
  const places = Array.from({ length: Math.min(length, 24) }, (_place, i) => Math.floor((i * length) / Math.min(length, 24)));
  for (const cut of places) {
    const { error, alert } = await refusal(mapped(step, (message) => concat(message.subarray(0, 1), vector(3, message.subarray(4, 4 + cut)))));
    expect(error, `${cut} octets`).toMatchObject({ code: "TLS" });
    expect(alert, `${cut} octets`).toMatch(/^(decode_error|decrypt_error|bad_certificate|no_application_protocol)$/);
  }
});

test("whatever one octet of a message is changed to, the handshake comes about or fails with code TLS", async () => {
  const steps = ["server_hello", "encrypted_extensions", "certificate_request", "certificate", "certificate_verify", "finished"] as const;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom<Step>(...steps), fc.nat(1 << 16), fc.integer({ min: 1, max: 255 }), async (step, place, change) => {
      // A message whose length grew is waited for: the server ends the connection then.
      const edit: Trial["edit"] = (at, message) => (at === step ? message.map((octet, i) => (i === place % message.length ? octet ^ change : octet)) : message);
      const trial: Trial = { edit, requestCertificate: true, signal: AbortSignal.timeout(250) };
      const { error } = await refusal(trial);
      if (error !== "the handshake came about") expect(error).toMatchObject({ name: "NtpError", code: expect.stringMatching(/^(TLS|TIMEOUT)$/) });
      // Nothing that authenticates the server may differ.
      else expect(["server_hello", "encrypted_extensions", "certificate_request"]).toContain(step);
    }),
    { numRuns: 150 },
  );
});
