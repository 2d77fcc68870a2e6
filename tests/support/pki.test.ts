// SPDX-License-Identifier: MIT OR Apache-2.0
import { X509Certificate } from "node:crypto";
import { connect, createServer, type TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { issue, type KeyAlgorithm, makeCa, makeKeys } from "./pki.ts";

test.each<KeyAlgorithm>(["p256", "p384", "ed25519", "rsa2048", "rsa-pss"])("node:crypto verifies what a %s authority signs", (algorithm) => {
  const ca = makeCa({ algorithm });
  const middle = issue(ca, { ca: 0, algorithm });
  const leaf = issue(middle, { dns: ["ntp.example"], ips: ["192.0.2.1", "2001:db8::1"] });
  const root = new X509Certificate(ca.certificate);
  const x = new X509Certificate(leaf.certificate);
  expect(root.verify(root.publicKey)).toBe(true);
  expect(new X509Certificate(middle.certificate).verify(root.publicKey)).toBe(true);
  expect(x.verify(new X509Certificate(middle.certificate).publicKey)).toBe(true);
  expect(x.verify(root.publicKey)).toBe(false);
  expect(root.ca).toBe(true);
  expect(x.ca).toBe(false);
  expect(x.checkHost("ntp.example")).toBe("ntp.example");
  expect(x.checkIP("2001:db8::1")).toBe("2001:db8::1");
  expect(x.checkHost("other.example")).toBeUndefined();
});

test("an RSA authority signs with PSS, and with weak hashes, when asked to", () => {
  const ca = makeCa({ algorithm: "rsa2048" });
  for (const options of [{ pss: true }, { hash: "sha1" }, { hash: "md5" }, { hash: "sha512", pss: true }] as const) {
    expect(new X509Certificate(issue(ca, options).certificate).verify(ca.keys.publicKey)).toBe(true);
  }
});

test("dates on both sides of 2050 are written as RFC 5280 wants", () => {
  const x = new X509Certificate(issue(makeCa(), { notBefore: Date.UTC(2049, 11, 31), notAfter: new Date(Date.UTC(2050, 0, 1)) }).certificate);
  expect(Date.parse(x.validFrom)).toBe(Date.UTC(2049, 11, 31));
  expect(Date.parse(x.validTo)).toBe(Date.UTC(2050, 0, 1));
});

test("a TLS connection is authorized by a chain of it, and not without its root", async () => {
  const ca = makeCa();
  const middle = issue(ca, { ca: 0 });
  const leaf = issue(middle, { dns: ["ntp.example"], keys: makeKeys("p256") });
  const server = createServer({ cert: leaf.certificate + middle.certificate, key: leaf.key }, (socket) => socket.on("error", () => {}));
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const attempt = (trust: string) =>
    new Promise<boolean>((resolve) => {
      const socket: TLSSocket = connect({ host: "127.0.0.1", port, servername: "ntp.example", ca: trust });
      socket.once("secureConnect", () => (socket.destroy(), resolve(true)));
      socket.once("error", () => resolve(false));
    });
  expect(await attempt(ca.certificate)).toBe(true);
  expect(await attempt(makeCa().certificate)).toBe(false);
  await new Promise((resolve) => server.close(resolve));
});
