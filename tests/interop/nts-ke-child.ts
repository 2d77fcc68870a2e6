// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Key establishment on whatever runtime this runs on, for nts-ke.test.ts: `client HOST PORT CA [PQ]` prints what came of it,
 * `server CERTIFICATE KEY` prints its port and serves until its standard input ends, `tls CERTIFICATE KEY CA PIN` prints how
 * the runtime's TLS judges. Bundled with the runtime's own host.
 */
import { readFile } from "node:fs/promises";
import process from "node:process";
import { lendHost } from "#host";
import { establishKeys } from "../../hosts/common/nts/client.ts";
import type { TlsLoader } from "../../hosts/common/nts/connect.ts";
import { connectTls } from "../../hosts/common/tls/connect.ts";
import { serveKe } from "../../hosts/common/nts/server.ts";
import type { PostQuantum, TlsClientOptions, TlsStream } from "../../hosts/common/stream.ts";
import { testJar } from "../support/cookies.ts";

const [role, first = "", second = "", third = "", pq = "prefer"] = process.argv.slice(2);
const host = await lendHost({ native: false });
/** Our own, for what the runtime's TLS cannot do. */
const tls: TlsLoader = async () => (tcp, options) => connectTls(tcp, options, (bytes) => host.random(bytes), Date.now);
const say = (what: unknown) => process.stdout.write(`${JSON.stringify(what)}\n`);
const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

try {
  if (role === "client") {
    const { c2s, s2c, cookies, ...rest } = await establishKeys(host, { host: first, kePort: Number(second), ca: await readFile(third, "utf8"), pq: pq as PostQuantum, tls });
    say({ ...rest, otherKeys: undefined, c2s: hex(c2s), s2c: hex(s2c), cookies: cookies.map(hex) });
  } else if (role === "tls") {
    say(await judged({ certificate: await readFile(first, "utf8"), key: await readFile(second, "utf8"), ca: await readFile(third, "utf8"), pin: pq }));
  } else {
    const jar = testJar();
    const server = await serveKe(host, { certificate: await readFile(first, "utf8"), key: await readFile(second, "utf8"), jar, listen: ["127.0.0.1"], port: 0 });
    say({ port: server.addresses[0]?.port });
    process.stdin.resume().on("end", () => {
      say(server.stats);
      void server.close();
    });
  }
} catch (error) {
  say({ code: (error as { code?: string }).code, message: (error as Error).message });
}

/** Error codes, or "ok", of connections of this runtime to itself. */
async function judged({ certificate, key, ca, pin }: { certificate: string; key: string; ca: string; pin: string }): Promise<Record<string, string>> {
  const streams: TlsStream[] = [];
  let welcome = true;
  const listener = await host.listenTls!({ endpoint: { address: "127.0.0.1", port: 0 }, certificate, key, alpn: ["ntske/1"], maxConnections: 50, admit: () => welcome }, (stream) => streams.push(stream));
  const base: TlsClientOptions = { endpoint: listener.local, serverName: "127.0.0.1", alpn: ["ntske/1"], ca, pq: "off", signal: new AbortController().signal };
  const results: Record<string, string> = {};
  const judge = async (name: string, options: Partial<TlsClientOptions>) => {
    results[name] = await host.connectTls!({ ...base, ...options }).then((stream) => { stream.close(); return "ok"; }, (error: { code?: string }) => error.code ?? String(error));
  };
  await judge("an address in the certificate", {});
  await judge("a name in the certificate", { serverName: "ke.example" });
  await judge("another name", { serverName: "other.example" });
  await judge("another address", { serverName: "127.0.0.2" });
  await judge("roots of its own", { ca: undefined });
  await judge("a pinned key", { pins: [pin] });
  await judge("another pinned key", { pins: ["AAAA"] });
  await judge("another protocol", { alpn: ["h2"] });
  await judge("a given time", { time: Date.now() });
  await judge("a signal that has fired", { signal: AbortSignal.abort() });
  listener.renew(certificate, key);
  await judge("a renewed certificate", {});
  welcome = false;
  await judge("a server that does not admit it", {});
  results["refused"] = String(listener.refused);
  await listener.close();
  await judge("a closed port", {});
  for (const stream of streams) stream.close();
  return results;
}
