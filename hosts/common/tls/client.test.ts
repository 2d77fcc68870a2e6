// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The whole client against a server in memory: what works, and how it ends. What is refused: handshake.test.ts,
 * hello.test.ts, record.test.ts. Live servers: tests/interop/tls.test.ts.
 */
import { describe, expect, test } from "vitest";
import { issue, type KeyAlgorithm, makeCa } from "../../../tests/support/pki.ts";
import { PipeEnd } from "../../../tests/support/pipe.ts";
import { ca, leaf, NAME, refusal, refused, shake } from "../../../tests/support/tls-trial.ts";
import { recordsIn } from "../../../tests/support/tls-server.ts";
import type { PostQuantum } from "../stream.ts";
import { concat } from "./codec.ts";
import { connectTls, type TlsOptions } from "./connect.ts";
import { EXTENSION } from "./constants.ts";
import { GROUP, type GroupName } from "./groups.ts";
import { SUITES } from "./suites.ts";

const text = (data: Uint8Array | undefined) => new TextDecoder().decode(data);
const random = (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes);

describe("a handshake", () => {
  test.each(SUITES.map(({ id, name }) => [name, id] as const))("with %s agrees on everything", async (name, suite) => {
    const { stream, server } = await shake({ suite });
    expect(stream).toMatchObject({ alpn: "ntske/1", group: "X25519", cipher: name });
    const context = Uint8Array.of(1, 2, 3);
    expect(await stream.exportKey("EXPORTER-test", context, 40)).toEqual(await server.schedule.exportKey("EXPORTER-test", context, 40));
    expect(await stream.exportKey("EXPORTER-test", Uint8Array.of(1), 40)).not.toEqual(await stream.exportKey("EXPORTER-test", context, 40));
    await stream.write(new TextEncoder().encode("question"));
    expect(text((await server.records.read())?.data)).toBe("question");
    await server.records.write(23, new TextEncoder().encode("answer"));
    expect(text(await stream.read())).toBe("answer");
  });

  test.each<[GroupName, PostQuantum]>([
    ["X25519", "off"],
    ["X25519", "prefer"],
    ["X25519MLKEM768", "prefer"],
    ["X25519MLKEM768", "require"],
  ])("over %s when hybrid is %s", async (group, pq) => {
    const { stream, server } = await shake({ group, pq });
    expect(stream.group).toBe(group);
    const shares = { off: ["X25519"], prefer: ["X25519MLKEM768", "X25519"], require: ["X25519MLKEM768"] } as const;
    expect([...(server.hellos[0]?.shares.keys() ?? [])]).toEqual(shares[pq].map((name) => GROUP[name]));
  });

  test.each<[string, GroupName, Uint8Array | undefined, PostQuantum]>([
    ["another group", "P-256", undefined, "prefer"],
    ["another group and a cookie", "P-256", Uint8Array.of(1, 2, 3), "off"],
    ["a cookie", "X25519", new Uint8Array(500).fill(7), "off"],
  ])("after a HelloRetryRequest for %s", async (_name, group, cookie, pq) => {
    const retry = { ...(group === "X25519" ? {} : { group }), ...(cookie ? { cookie } : {}) };
    const { stream, server } = await shake({ group, retry, pq, suite: 0x1302 });
    expect(stream.group).toBe(group);
    const [first, second] = server.hellos;
    expect(second?.random).toEqual(first?.random);
    expect(second?.sessionId).toEqual(first?.sessionId);
    expect(second?.extensions.get(EXTENSION.cookie)?.subarray(2)).toEqual(cookie);
    expect([...(second?.shares.keys() ?? [])]).toEqual([GROUP[group]]);
  });

  test.each<KeyAlgorithm>(["p256", "p384", "ed25519", "rsa2048"])("with a %s certificate", async (algorithm) => {
    await shake({ chain: [issue(ca, { algorithm, dns: [NAME] })] });
  });

  test.each([0x0805, 0x0806])("signed with rsa_pss_rsae scheme %i", async (scheme) => {
    await shake({ scheme, chain: [issue(ca, { algorithm: "rsa2048", dns: [NAME] })] });
  });

  test("with intermediates in any order, pins, and an address for a name", async () => {
    const upper = issue(ca, { ca: true });
    const lower = issue(upper, { ca: true });
    const server = issue(lower, { ips: ["192.0.2.7"] });
    const { server: side } = await shake({ chain: [server, upper, lower], serverName: "192.0.2.7", pins: [upper.pin] });
    expect(side.hellos[0]?.extensions.has(EXTENSION.server_name)).toBe(false);
  });

  test("with a server that wants a certificate: it gets an empty list", async () => {
    const { server } = await shake({ requestCertificate: true });
    expect(server.clientCertificate).toEqual(Uint8Array.of(0, 0, 0, 0));
  });

  test("without application protocols when none were asked for", async () => {
    expect((await shake({ alpn: [], protocol: false })).stream.alpn).toBeUndefined();
  });

  test.each([1, 2, 3, 5, 7, 64])("in records of %i octets of messages", async (fragment) => void (await shake({ fragment })));
  test.each([1, 2, 3, 4, 6, 100])("in pieces of %i octets of the stream", async (piece) => void (await shake({ piece, pq: "prefer", group: "X25519MLKEM768" })));

  test("in compatibility mode: a random session id, and one change_cipher_spec before what is protected", async () => {
    for (const retry of [undefined, { cookie: Uint8Array.of(1) }]) {
      const { server } = await shake(retry ? { retry } : {});
      expect(new Set(server.hellos[0]?.sessionId).size).toBeGreaterThan(16);
      const types = recordsIn(concat(...server.client.written)).map(([type]) => type);
      expect(types).toEqual(retry ? [22, 20, 22, 23] : [22, 20, 23]);
    }
  });

  test("never with the same random, session id or shares", async () => {
    const [a, b] = [(await shake()).server.hellos[0], (await shake()).server.hellos[0]];
    expect(a?.random).not.toEqual(b?.random);
    expect(a?.sessionId).not.toEqual(b?.sessionId);
    expect(a?.shares).not.toEqual(b?.shares);
  });

  test("with a key log in the NSS format, that a sniffer can use", async () => {
    const lines: string[] = [];
    const { server } = await shake({ keyLog: (line) => lines.push(line) });
    const id = Buffer.from(server.hellos[0]?.random ?? []).toString("hex");
    const labels = ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET"];
    expect(lines).toEqual(labels.map((label) => expect.stringMatching(new RegExp(`^${label} ${id} [0-9a-f]{64}$`)) as unknown));
  });
});

describe("arguments that have no meaning", () => {
  const good: TlsOptions = { serverName: NAME, alpn: ["ntske/1"], ca: ca.certificate, pq: "off", signal: AbortSignal.timeout(300_000) };
  test.each<[string, Partial<TlsOptions>]>([
    ["no roots", { ca: undefined }],
    ["roots that are none", { ca: "nonsense" }],
    ["a name that cannot be", { serverName: "a b" }],
    ["an empty protocol", { alpn: [""] }],
    ["a protocol too long", { alpn: ["x".repeat(256)] }],
  ])("%s: nothing is sent, and the connection is closed", async (_name, wrong) => {
    const [ours] = PipeEnd.pair();
    await expect(connectTls(ours, { ...good, ...wrong }, random, Date.now)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(ours.written).toEqual([]);
    expect(ours.closed).toBe(true);
  });

  test("exporting too much, nothing, or under no label", async () => {
    const { stream } = await shake();
    for (const length of [0, -1, 1.5, 8161]) await expect(stream.exportKey("EXPORTER-x", new Uint8Array(), length)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    for (const label of ["", "x".repeat(250), "ü"]) await expect(stream.exportKey(label, new Uint8Array(), 32)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("the end of an attempt", () => {
  const waiting = (signal: AbortSignal) => {
    const [ours, theirs] = PipeEnd.pair();
    const options: TlsOptions = { serverName: NAME, alpn: [], ca: ca.certificate, pq: "off", signal };
    return { ours, theirs, outcome: connectTls(ours, options, random, Date.now) };
  };

  test("by its caller, before and during", async () => {
    const reason = new Error("enough");
    await expect(waiting(AbortSignal.abort(reason)).outcome).rejects.toMatchObject({ code: "ABORTED", cause: reason });
    const controller = new AbortController();
    const { ours, outcome } = waiting(controller.signal);
    controller.abort(reason);
    await expect(outcome).rejects.toMatchObject({ code: "ABORTED", cause: reason, message: expect.stringContaining(NAME) });
    expect(ours.closed).toBe(true);
  });

  test("by a timeout", async () => {
    await expect(waiting(AbortSignal.timeout(20)).outcome).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("by the server, which closes", async () => {
    const { theirs, outcome } = waiting(AbortSignal.timeout(300_000));
    theirs.close();
    await expect(outcome).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("closed the connection; expected server_hello") });
  });

  test("by the network, whose error is the cause", async () => {
    const { ours, outcome } = waiting(AbortSignal.timeout(300_000));
    const reset = new Error("ECONNRESET");
    ours.fail(reset);
    await expect(outcome).rejects.toMatchObject({ code: "UNREACHABLE", cause: reset });
  });

  test("by something that is not TLS", async () => {
    const { theirs, outcome } = waiting(AbortSignal.timeout(300_000));
    await theirs.write(new TextEncoder().encode("SSH-2.0-OpenSSH_9.9\r\n"));
    await expect(outcome).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("does the server speak TLS on this port?") });
  });

  test.each([
    [40, "handshake_failure; no common cipher suite, group or certificate"],
    [70, "protocol_version; it does not speak TLS 1.3"],
    [120, "no_application_protocol; does this port speak the protocol"],
    [112, "unrecognized_name"],
    [99, "alert 99"],
    [0, "close_notify"],
  ])("by the server's alert %i, said in words and not answered", async (description, message) => {
    const { ours, theirs, outcome } = waiting(AbortSignal.timeout(300_000));
    await theirs.write(Uint8Array.of(21, 3, 3, 0, 2, 2, description));
    await expect(outcome).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining(message) });
    expect(recordsIn(concat(...ours.written)).map(([type]) => type)).toEqual([22]);
  });

  test("leaves no secret in a message", async () => {
    const lines: string[] = [];
    const { error } = await refusal({ keyLog: (line) => lines.push(line), serverName: "other.example" });
    for (const line of lines) expect(String(error)).not.toContain(line.split(" ").at(-1));
    expect(lines).toHaveLength(2);
  });
});

describe("a certificate is refused with the alert for it", () => {
  const DAY = 86_400_000;
  test.each<[string, string, Parameters<typeof refused>[2], string]>([
    ["unknown_ca", "of an unknown authority", { ca: makeCa().certificate }, "unknown issuer"],
    ["unknown_ca", "without its intermediate", { chain: [issue(issue(ca, { ca: true }), { dns: [NAME] })] }, "unknown issuer"],
    ["certificate_unknown", "for another name", { serverName: "other.example" }, 'expected one for "other.example"'],
    ["certificate_unknown", "for another purpose", { chain: [issue(ca, { dns: [NAME], eku: ["clientAuth"] })] }, "serverAuth"],
    ["certificate_unknown", "without the pinned key", { pins: [makeCa().pin] }, "given pins"],
    ["certificate_expired", "that has expired", { chain: [issue(ca, { dns: [NAME], notAfter: Date.now() - DAY / 2 })] }, "check this host's clock"],
    ["certificate_expired", "not valid at the given time", { time: Date.UTC(2020, 0, 1) }, "expected to be valid at 2020-01-01"],
    ["unsupported_certificate", "with a short key", { chain: [issue(ca, { dns: [NAME], algorithm: "rsa1024" })] }, "1024 bits"],
    ["bad_certificate", "that is not one", { chain: [{ ...leaf, der: Uint8Array.of(0x30, 0) }] }, "expected more octets"],
    ["bad_certificate", "among too many", { chain: [leaf, ...new Array<typeof leaf>(16).fill(leaf)] }, "at most 16 certificates"],
  ])("%s: one %s", (alert, _name, trial, message) => refused(alert, message, trial));

  test("but an expired one is taken when its validity is not judged", async () => {
    await shake({ time: "any", chain: [issue(ca, { dns: [NAME], notAfter: Date.now() - DAY / 2 })] });
  });
});
