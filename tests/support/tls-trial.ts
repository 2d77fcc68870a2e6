// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One handshake of our TLS client with the server in memory: how it goes, and how it fails on either side.
 *
 * @module
 */

import { expect } from "vitest";
import { connectTls, type TlsOptions } from "../../hosts/common/tls/connect.ts";
import type { TlsStream } from "../../hosts/common/stream.ts";
import { issue, makeCa } from "./pki.ts";
import { type Script, TestServer } from "./tls-server.ts";

export const NAME = "ntp.example";
export const ca = makeCa();
export const leaf = issue(ca, { dns: [NAME], ips: ["192.0.2.1"] });

/** What differs from a good server and a good client. */
export type Trial = Partial<Script & TlsOptions>;

const LIMIT_MS = 120_000;

/** A handshake that must come about; the server's side of it has ended, too, when this settles. */
export async function shake(trial: Trial = {}): Promise<{ stream: TlsStream; server: TestServer }> {
  const server = new TestServer({ chain: [leaf], ...trial });
  const done = server.run();
  const stream = await connect(server, trial);
  await done;
  return { stream, server };
}

/** A handshake that must not. The server's connection ends when its script does, so that nobody waits for ever. */
export async function refusal(trial: Trial): Promise<{ error: unknown; alert: string | undefined; server: TestServer; stream: TlsStream | undefined }> {
  const server = new TestServer({ chain: [leaf], ...trial });
  void server.run().then(
    () => {},
    () => server.end.close(),
  );
  let stream: TlsStream | undefined;
  let error: unknown = "the handshake came about";
  try {
    stream = await connect(server, trial);
  } catch (thrown) {
    error = thrown;
  }
  return { error, alert: await server.alert(), server, stream };
}

/** The handshake fails on our side with this message, and the server is told this alert. */
export async function refused(alert: string, message: string | RegExp, trial: Trial): Promise<void> {
  const { error, alert: told, server } = await refusal(trial);
  expect(error).toMatchObject({ name: "NtpError", code: "TLS", message: expect.stringMatching(message) });
  expect(told).toBe(alert);
  expect(server.client.closed).toBe(true);
}

function connect(server: TestServer, trial: Trial): Promise<TlsStream> {
  const { serverName = NAME, alpn = ["ntske/1"], pins, time, pq = "off", keyLog, signal = AbortSignal.timeout(LIMIT_MS) } = trial;
  const options: TlsOptions = { serverName, alpn, ca: trial.ca ?? ca.certificate, pins, time, pq, keyLog, signal };
  return connectTls(server.client, options, (bytes) => crypto.getRandomValues(bytes), Date.now);
}
