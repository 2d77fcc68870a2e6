// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Uses what a runtime lends beside clocks and datagrams, and prints what came of it; for lent.test.ts.
 *
 *     RUNTIME tests/contract/lent-child.mjs ENTRY FOLDER CA CERTIFICATE KEY
 */
import process from "node:process";

const [entry, folder, ca, certificate, key] = process.argv.slice(2);
const { lendHost } = await import(entry);
const host = await lendHost();
const endpoint = { address: "127.0.0.1", port: 0 };
const signal = AbortSignal.timeout(10_000);
const text = async (file) => new TextDecoder().decode((await host.files.read(file, 65_536)).data);

/** What comes back of what is sent to a listener that sends back all that it reads. */
async function echo(listener, stream) {
  await stream.write(new TextEncoder().encode("tick"));
  let said = "";
  while (said.length < 4) said += new TextDecoder().decode(await stream.read());
  stream.close();
  await listener.close();
  return said;
}

async function sendBack(stream) {
  for (let octets = await stream.read(); octets; octets = await stream.read()) await stream.write(octets);
  stream.close();
}

async function files() {
  const file = `${folder}/${host.runtime}`;
  const before = await host.files.modified(file);
  await host.files.replace(file, new TextEncoder().encode("one"), 0o600);
  await host.files.replace(file, new TextEncoder().encode("two"), 0o600);
  const { data, mode } = await host.files.read(file, 3);
  const tooLong = await host.files.read(file, 2).then(() => "read", () => "refused");
  return { before: before ?? null, text: new TextDecoder().decode(data), mode, tooLong, changed: (await host.files.modified(file)) > 0 };
}

async function tcp() {
  const listener = await host.listenTcp({ endpoint, maxConnections: 1 }, (stream) => void sendBack(stream));
  return echo(listener, await host.connectTcp(listener.local, signal));
}

async function tls() {
  if (!host.listenTls) return "none";
  const alpn = ["ntske/1"];
  const listener = await host.listenTls({ endpoint, certificate: await text(certificate), key: await text(key), alpn, maxConnections: 1 }, (stream) => void sendBack(stream));
  return echo(listener, await host.connectTls({ endpoint: listener.local, serverName: "localhost", alpn, ca: await text(ca), pq: "off", signal }));
}

async function http() {
  const listener = await host.listenHttp(endpoint, (path) => ({ status: 200, type: "text/plain", body: path }));
  const said = await (await fetch(`http://127.0.0.1:${listener.local.port}/metrics`)).text();
  await listener.close();
  return said;
}

const names = (await host.resolve("localhost", signal)).map(({ address }) => address);
const roots = (await host.rootCertificates()).match(/-----BEGIN CERTIFICATE-----/g).length;
console.log(JSON.stringify({ runtime: host.runtime, names, roots, files: await files(), tcp: await tcp(), tls: await tls(), http: await http() }));
process.exit(0);
