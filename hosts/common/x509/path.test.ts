// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, test } from "vitest";
import * as write from "../../../tests/support/der.ts";
import { type CertificateOptions, issue, type Issued, type KeyAlgorithm, makeCa, makeKeys } from "../../../tests/support/pki.ts";
import type { CertificateReason } from "./error.ts";
import { serverName } from "./names.ts";
import { readRoots, verifyPath } from "./path.ts";

const NAME = "ntp.example";
const DAY = 86_400_000;
const ca = makeCa();

interface Try {
  readonly root?: Pick<Issued, "certificate">;
  readonly name?: string;
  readonly time?: number | "any";
  readonly pins?: readonly string[];
}

function verify(chain: readonly Issued[], { root = ca, name = NAME, time = Date.now(), pins }: Try = {}): Promise<unknown> {
  return verifyPath(chain.map(({ der }) => der), { name: serverName(name), roots: readRoots(root.certificate), time, pins });
}

async function refused(reason: CertificateReason, message: string | RegExp, chain: readonly Issued[], how: Try = {}): Promise<void> {
  const error: unknown = await verify(chain, how).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: "TLS", reason, message: expect.stringMatching(message) });
}

const leafOf = (options: CertificateOptions = {}, issuer = ca) => issue(issuer, { dns: [NAME], ...options });

describe("a path is found", () => {
  test("from a leaf to its root", async () => {
    expect(await verify([leafOf()])).toHaveLength(2);
  });

  test.each<KeyAlgorithm>(["p256", "p384", "ed25519", "rsa2048"])("through %s keys", async (algorithm) => {
    const root = makeCa({ algorithm });
    const middle = issue(root, { ca: 0, algorithm });
    expect(await verify([leafOf({ algorithm }, middle), middle], { root })).toHaveLength(3);
  });

  test.each([{ pss: true }, { hash: "sha384" }, { hash: "sha512" }, { pss: true, hash: "sha384" }, { pss: true, hash: "sha512" }] as const)("over RSA signed with %j", async (how) => {
    const root = makeCa({ algorithm: "rsa2048" });
    expect(await verify([leafOf(how, root)], { root })).toHaveLength(2);
  });

  test.each(["sha256", "sha384", "sha512"] as const)("over P-256 and P-384 signed with %s", async (hash) => {
    for (const algorithm of ["p256", "p384"] as const) {
      const root = makeCa({ algorithm });
      expect(await verify([leafOf({ hash }, root)], { root })).toHaveLength(2);
    }
  });

  test("through intermediates in any order, among strangers, with the root sent along", async () => {
    const [upper, stranger] = [issue(ca, { ca: true }), makeCa()];
    const lower = issue(upper, { ca: true });
    const leaf = leafOf({}, lower);
    expect(await verify([leaf, upper, lower])).toHaveLength(4);
    expect(await verify([leaf, stranger, lower, ca, upper])).toHaveLength(4);
  });

  test("around a namesake with another key", async () => {
    const name = "Same Name";
    const [false1, real] = [issue(ca, { ca: true, name }), issue(ca, { ca: true, name })];
    expect(await verify([leafOf({}, real), false1, real])).toHaveLength(3);
  });

  test("around an expired cross certificate with the same key", async () => {
    const keys = makeKeys("p256");
    const old = issue(ca, { ca: true, name: "Crossed", keys, notAfter: Date.now() - DAY / 2 });
    const fresh = issue(ca, { ca: true, name: "Crossed", keys });
    expect(await verify([leafOf({}, old), old, fresh])).toHaveLength(3);
  });

  test("to a leaf that was itself given as a root", async () => {
    const own = makeCa({ ca: false, dns: [NAME], keyUsage: ["digitalSignature"], eku: ["serverAuth"] });
    expect(await verify([own], { root: own })).toHaveLength(1);
  });

  test("to an intermediate that was given as a root", async () => {
    const middle = issue(ca, { ca: true });
    expect(await verify([leafOf({}, middle), middle], { root: middle })).toHaveLength(2);
  });

  test("among many roots, one of which cannot be read", async () => {
    const broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    const bundle = { certificate: `text before\n${makeCa().certificate}${broken}text between\n${ca.certificate}` };
    expect(await verify([leafOf()], { root: bundle })).toHaveLength(2);
  });

  test("past certificates of the chain that cannot be read, which are the reason when there is no other", async () => {
    const middle = issue(ca, { ca: true });
    const broken = { ...middle, der: middle.der.subarray(0, -1) };
    expect(await verify([leafOf({}, middle), broken, middle])).toHaveLength(3);
    await refused("malformed", "certificate", [leafOf({}, middle), broken]);
  });

  test("for each of a leaf's names and addresses", async () => {
    const leaf = leafOf({ dns: [NAME, "*.pool.example"], ips: ["192.0.2.1", "2001:db8::1"] });
    for (const name of [NAME, "a.pool.example", "192.0.2.1", "2001:db8::1"]) await verify([leaf], { name });
  });

  test("of as many as eight certificates", async () => {
    const line = [ca];
    for (let i = 0; i < 6; i++) line.push(issue(line.at(-1) as Issued, { ca: true }));
    expect(await verify([leafOf({}, line.at(-1)), ...line.slice(1)])).toHaveLength(8);
  });
});

describe("a path is refused", () => {
  test("to a root that was not given", () => refused("untrusted", "unknown issuer", [leafOf({}, makeCa())]));

  test("without its intermediate", async () => {
    await refused("untrusted", "unknown issuer", [leafOf({}, issue(ca, { ca: true }))]);
  });

  test("to a root of the same name but another key: the name alone is worth nothing", async () => {
    const [real, fake] = [makeCa({ name: "Root" }), makeCa({ name: "Root" })];
    await refused("untrusted", "not made by the issuer", [leafOf({}, fake)], { root: real });
  });

  test("when a signature, or what it is over, was changed", async () => {
    const leaf = leafOf();
    for (const at of [leaf.der.length - 1, Buffer.from(leaf.der).indexOf(NAME)]) {
      const der = Uint8Array.from(leaf.der);
      der[at]! ^= 1;
      await refused(at === leaf.der.length - 1 ? "untrusted" : "unfit", at === leaf.der.length - 1 ? "not made by" : "expected one for", [{ ...leaf, der }]);
    }
  });

  test("longer than eight certificates", async () => {
    const line = [ca];
    for (let i = 0; i < 7; i++) line.push(issue(line.at(-1) as Issued, { ca: true }));
    await refused("untrusted", "unknown issuer", [leafOf({}, line.at(-1)), ...line.slice(1)]);
  });

  test("after 32 signatures, however many namesakes there are", async () => {
    const name = "Namesake";
    const keys = makeKeys("p256");
    const many = Array.from({ length: 14 }, () => issue({ keys, subject: issue(ca, { name, keys }).subject }, { ca: true, name, keys }));
    await refused("untrusted", /within 32 signatures|unknown issuer/, [leafOf({}, { ...many[0]!, keys }), ...many]);
  });

  test("with two certificates that issue each other", async () => {
    const [a, b] = [makeCa(), makeCa()];
    const [ab, ba] = [
      issue(a, { ca: true, keys: b.keys, name: "B" }),
      issue({ keys: b.keys, subject: issue(a, { name: "B" }).subject }, { ca: true, keys: a.keys, name: "A" }),
    ];
    await refused("untrusted", /unknown issuer|not made by/, [leafOf({}, { ...ab, keys: b.keys }), ab, ba]);
  });

  test("without certificates", () => refused("malformed", "empty list", []));
});

describe("a leaf is refused", () => {
  test("for another name, and says which it has", async () => {
    await refused("unfit", 'expected one for "other.example", got one for "ntp.example"', [leafOf()], { name: "other.example" });
    await refused("unfit", "expected one for 192.0.2.9", [leafOf({ ips: ["192.0.2.1"] })], { name: "192.0.2.9" });
  });

  test("when only its common name would fit", () => refused("unfit", "common names do not count", [issue(ca, { name: NAME })]));

  test("before and after its time, to the second; not when the time is not judged", async () => {
    const [from, to] = [Date.UTC(2026, 0, 1), Date.UTC(2026, 5, 1)];
    const root = makeCa({ notBefore: 0, notAfter: Date.UTC(2040, 0, 1) });
    const chain = [leafOf({ notBefore: from, notAfter: to }, root)];
    await refused("expired", "valid from 2026-01-01", chain, { root, time: from - 1 });
    await verify(chain, { root, time: from });
    await verify(chain, { root, time: to + 999 });
    await refused("expired", "check this host's clock", chain, { root, time: to + 1000 });
    await verify(chain, { root, time: "any" });
  });

  test("for another purpose", async () => {
    await refused("unfit", "purpose serverAuth", [leafOf({ eku: ["clientAuth"] })]);
    await verify([leafOf({ eku: ["any"] })]);
    await verify([leafOf({ eku: false })]);
  });

  test("whose key may not sign", async () => {
    await refused("unfit", "digitalSignature", [leafOf({ keyUsage: ["keyEncipherment"] })]);
    await verify([leafOf({ keyUsage: false })]);
  });

  test("with a critical extension that is unknown, and not with one that is not critical", async () => {
    const value = write.nothing();
    await refused("unsupported", "critical extension that is not known here, got 1.2.3", [leafOf({ extra: [{ oid: "1.2.3", critical: true, value }] })]);
    await verify([leafOf({ extra: [{ oid: "1.2.3", value }] })]);
    await verify([leafOf({ extra: [{ oid: "2.5.29.32", critical: true, value: write.sequence() }] })]);
    await refused("unsupported", "2.5.29.36", [leafOf({ extra: [{ oid: "2.5.29.36", critical: true, value: write.sequence() }] })]);
  });

  test.each<[KeyAlgorithm, string]>([
    ["rsa1024", "2048 to 8192 bits, got 1024 bits"],
    ["p521", "expected an RSA, P-256, P-384 or Ed25519 key"],
    ["rsa-pss", "algorithm 1.2.840.113549.1.1.10"],
  ])("with a %s key", (algorithm, message) => refused("unsupported", message, [leafOf({ algorithm })]));

  test.each(["md5", "sha1"] as const)("signed with %s", async (hash) => {
    const root = makeCa({ algorithm: "rsa2048" });
    await refused("unsupported", "SHA-256 or better", [leafOf({ hash }, root)], { root });
    await refused("unsupported", "SHA-256 or better", [leafOf({ hash, pss: true }, root)], { root });
  });
});

describe("an authority is refused", () => {
  const through = (options: CertificateOptions, how: Try = {}) => {
    const middle = issue(ca, { ca: true, ...options });
    return { chain: [leafOf({}, middle), middle], how };
  };
  const cases: [string, CertificateOptions, CertificateReason, string][] = [
    ["that is none", { ca: false }, "unfit", "expected an authority"],
    ["without basicConstraints", { ca: "absent" }, "unfit", "expected an authority"],
    ["that may not sign certificates", { keyUsage: ["digitalSignature"] }, "unfit", "keyCertSign"],
    ["for another purpose", { eku: ["clientAuth"] }, "unfit", "purpose serverAuth"],
    ["that is not yet valid", { notBefore: Date.now() + DAY, notAfter: Date.now() + 2 * DAY }, "expired", "issuing certificate"],
    ["that has expired", { notBefore: Date.now() - 2 * DAY, notAfter: Date.now() - DAY }, "expired", "issuing certificate"],
    ["with a short RSA key", { algorithm: "rsa1024" }, "unsupported", "1024 bits"],
    ["with an unknown critical extension", { extra: [{ oid: "1.2.3", critical: true, value: write.nothing() }] }, "unsupported", "1.2.3"],
    ["that may only certify other names", { permitted: ["other.example"] }, "unfit", "not permitted"],
    ["that must not certify this name", { excluded: ["example"] }, "unfit", "excluded"],
  ];
  test.each(cases)("%s", async (_name, options, reason, message) => {
    const { chain, how } = through(options);
    await refused(reason, message, chain, how);
  });

  test("whose path length is used up", async () => {
    const upper = issue(ca, { ca: 0 });
    const lower = issue(upper, { ca: true });
    await refused("unfit", "at most 0 authorities below it, got 1", [leafOf({}, lower), lower, upper]);
    await verify([leafOf({}, upper), upper]);
    const roomy = issue(ca, { ca: 1 });
    const below = issue(roomy, { ca: true });
    await verify([leafOf({}, below), below, roomy]);
  });

  test("that is a root with an end, a short key, or no right to issue", async () => {
    const ended = makeCa({ notBefore: Date.now() - 2 * DAY, notAfter: Date.now() - DAY });
    await refused("expired", "issuing certificate", [leafOf({}, ended)], { root: ended });
    await verify([leafOf({}, ended)], { root: ended, time: "any" });
    const short = makeCa({ algorithm: "rsa1024" });
    await refused("unsupported", "1024 bits", [leafOf({}, short)], { root: short });
    const none = makeCa({ ca: false });
    await refused("unfit", "expected an authority", [leafOf({}, none)], { root: none });
  });

  test("when a wildcard would reach what is excluded", async () => {
    const middle = issue(ca, { ca: true, excluded: ["bad.example.org"] });
    const chain = [leafOf({ dns: ["*.example.org"] }, middle), middle];
    await refused("unfit", "excluded", chain, { name: "bad.example.org" });
    await verify(chain, { name: "good.example.org" });
  });
});

describe("pins", () => {
  const middle = issue(ca, { ca: true });
  const leaf = leafOf({}, middle);
  const chain = [leaf, middle];

  test.each([["the leaf", leaf], ["an intermediate", middle], ["the root", ca]] as const)("of %s are found", async (_name, { pin }) => {
    await verify(chain, { pins: ["AAAA", pin] });
  });

  test("of nobody in the chain refuse it, and say what there is", async () => {
    await refused("unfit", `1 given pins in the chain, got ${leaf.pin.replace(/[+/]/g, ".")}`, chain, { pins: [makeCa().pin] });
  });

  test("are in addition: a pinned leaf of an unknown authority is refused", async () => {
    const stranger = leafOf({}, makeCa());
    await refused("untrusted", "unknown issuer", [stranger], { pins: [stranger.pin] });
  });
});

describe("PEM", () => {
  test.each(["", "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])("without a certificate is an argument that has no meaning: %j", (text) => {
    expect(() => readRoots(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("that is not base64, or holds no certificate, too", () => {
    for (const body of ["!!!!", "MAA="]) {
      expect(() => readRoots(`-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----`)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    }
  });
});
