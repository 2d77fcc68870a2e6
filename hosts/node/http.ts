// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A small HTTP listener for reading only, by `node:http`, which Deno and Bun have, too. It answers GET and HEAD, keeps no
 * connection, and gives nobody long to ask. Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { AnswerHttp, Endpoint, HttpAnswer, HttpListener } from "../common/host.ts";

/** What asking may take, ms, and how many may ask at a time. */
const PATIENCE_MS = 5000;
const CONNECTIONS = 16;

const REFUSED: HttpAnswer = { status: 405, type: "text/plain", body: "expected GET\n", headers: { allow: "GET, HEAD" } };

export function listenHttp({ address, port }: Endpoint, answer: AnswerHttp): Promise<HttpListener> {
  const server = createServer((request, response) => {
    // An answer that cannot be made is none: the connection ends.
    reply(request, response, answer).catch(() => response.destroy());
  });
  server.maxConnections = CONNECTIONS;
  server.requestTimeout = PATIENCE_MS;
  server.headersTimeout = PATIENCE_MS;
  // Who does not take the answer, either.
  server.timeout = PATIENCE_MS;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port }, () => {
      server.off("error", reject);
      server.on("error", () => {});
      const bound = server.address() as AddressInfo;
      resolve({
        local: { address: bound.address, port: bound.port },
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            server.closeAllConnections?.();
          }),
      });
    });
  });
}

async function reply(request: IncomingMessage, response: ServerResponse, answer: AnswerHttp): Promise<void> {
  const reading = request.method === "GET" || request.method === "HEAD";
  const { status, type, body, headers } = reading ? await answer((request.url ?? "").split("?")[0]!, request.headers.host) : REFUSED;
  response.writeHead(status, { ...headers, "content-type": type, "content-length": new TextEncoder().encode(body).length, connection: "close" });
  response.end(request.method === "HEAD" ? undefined : body);
}
