// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Our TLS client as a program, bundled for each runtime with that runtime's own tcp.ts: connects, writes, reads to the end,
 * and prints what was agreed on as JSON. Options come as JSON in the first argument.
 *
 * @module
 */

import { connectTls } from "../../hosts/common/tls/connect.ts";
import type { HostStreams, PostQuantum } from "../../hosts/common/stream.ts";

export interface ClientTask {
  readonly port: number;
  readonly ca: string;
  readonly pq: PostQuantum;
}

export interface ClientReport {
  readonly alpn: string;
  readonly group: string;
  readonly cipher: string;
  /** 64 octets under the exporter's label of NTS, hexadecimal. */
  readonly key: string;
  /** What came back. */
  readonly echo: string;
  /** How connecting to a port where nobody listens ends. */
  readonly refused: string;
  /** And how what is aborted ends. */
  readonly aborted: string;
  /** What a pending read gives when its stream is closed. */
  readonly closed: string;
}

const LIMIT_MS = 50_000;

export async function client(connectTcp: NonNullable<HostStreams["connectTcp"]>, task: ClientTask): Promise<ClientReport> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const code = (error: unknown) => (error as { code?: string }).code ?? String(error);
  const nobody = { address: "127.0.0.1", port: 1 };
  const refused = await connectTcp(nobody, signal).then(() => "connected", code);
  const aborted = await connectTcp(nobody, AbortSignal.abort()).then(() => "connected", code);
  const tcp = await connectTcp({ address: "127.0.0.1", port: task.port }, signal);
  const options = { serverName: "ntp.example", alpn: ["ntske/1"], ca: task.ca, pq: task.pq, signal };
  const stream = await connectTls(tcp, options, (bytes) => crypto.getRandomValues(bytes), Date.now);
  await stream.write(new TextEncoder().encode("over and out"));
  let echo = "";
  for (let data = await stream.read(); data; data = await stream.read()) echo += new TextDecoder().decode(data);
  const exported = await stream.exportKey("EXPORTER-network-time-security", Uint8Array.of(0, 0, 0, 15, 0), 64);
  stream.close();
  const idle = await connectTcp({ address: "127.0.0.1", port: task.port }, signal);
  const pending = idle.read();
  idle.close();
  const closed = String(await pending);
  const key = Array.from(exported, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return { alpn: stream.alpn ?? "", group: stream.group ?? "", cipher: stream.cipher ?? "", key, echo, refused, aborted, closed };
}
