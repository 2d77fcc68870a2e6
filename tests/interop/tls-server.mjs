// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A TLS server of whatever runtime runs this (node:tls): prints its port, and for each connection a line of JSON with what
 * that runtime says was agreed on. Echoes what comes, then says goodbye.
 *
 *     node tls-server.mjs CERTIFICATE KEY OPTIONS-AS-JSON
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import tls from "node:tls";

const [certificate, key, options = "{}"] = process.argv.slice(2);
const wanted = { cert: readFileSync(certificate), key: readFileSync(key), ALPNProtocols: ["ntske/1"], minVersion: "TLSv1.3", ...JSON.parse(options) };

const server = tls.createServer(wanted, (socket) => {
  // Deno has no exporter.
  const exported = socket.exportKeyingMaterial?.(64, "EXPORTER-network-time-security", Buffer.from([0, 0, 0, 15, 0]));
  console.log(JSON.stringify({ alpn: socket.alpnProtocol, cipher: socket.getCipher?.()?.standardName, key: exported?.toString("hex") ?? null }));
  socket.on("error", () => {});
  socket.once("data", (data) => socket.end(data));
});
server.on("tlsClientError", (error) => console.log(JSON.stringify({ error: String(error.code ?? error) })));
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.on("end", () => process.exit(0)).resume();
