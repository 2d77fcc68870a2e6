// SPDX-License-Identifier: MIT OR Apache-2.0
/** The server's counters for monitoring systems: the text, line for line, and over HTTP. */
import http from "node:http";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { lendHost } from "../../node/index.ts";
import { countsOf, metricsText } from "./metrics.ts";
import { serve } from "./serve.ts";

function get(port: number, path: string, method = "GET"): Promise<{ status: number | undefined; type: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, path, method }, (response) => {
      let body = "";
      response.on("data", (data: Buffer) => (body += String(data)));
      response.on("end", () => resolve({ status: response.statusCode, type: response.headers["content-type"], body }));
    });
    request.on("error", reject).end();
  });
}

const KE = { accepted: 0, refused: 0, handshakesFailed: 0, late: 0, gone: 0, served: 0, nothingInCommon: 0, unknownCritical: 0, badRequest: 0, internalError: 0 };

describe("the text", () => {
  it("is OpenMetrics: a type, a help, a total and a beginning for each counter, and an end", () => {
    expect(metricsText({ received: 12, rateLimited: 3 }, 1_700_000_000_123_456_789n)).toBe(`# TYPE escapement_server_received counter
# HELP escapement_server_received Datagrams received.
escapement_server_received_total 12
escapement_server_received_created 1700000000.123
# TYPE escapement_server_rate_limited counter
# HELP escapement_server_rate_limited Counter rateLimited.
escapement_server_rate_limited_total 3
escapement_server_rate_limited_created 1700000000.123
# EOF
`);
  });

  it("has no name that docs/metrics.md does not explain", async () => {
    const documented = readFileSync("docs/metrics.md", "utf8");
    await using server = await serve(await lendHost(), { listen: ["127.0.0.1"], port: 0, workers: 0 });
    for (const [, name] of metricsText({ ...countsOf({ counters: server.counters, stats: { ...server.stats, ke: KE } }), shed: 0 }, 0n).matchAll(/^(\w+_total) /gm)) expect(documented).toContain(`\`${name}\``);
  });
});

describe("over HTTP", () => {
  it("it is at /metrics, on loopback, and nothing else is anywhere", async () => {
    await using server = await serve(await lendHost(), { listen: ["127.0.0.1"], port: 0, workers: 0, metrics: { port: 0 } });
    expect(server.metrics!.address).toBe("127.0.0.1");
    const { port } = server.metrics!;
    const found = await get(port, "/metrics?x=1");
    expect(found).toMatchObject({ status: 200, type: "application/openmetrics-text; version=1.0.0; charset=utf-8" });
    expect(found.body).toContain("escapement_server_received_total 0\n");
    expect((await get(port, "/")).status).toBe(404);
    expect((await get(port, "/metrics", "POST")).status).toBe(405);
    expect(await get(port, "/metrics", "HEAD")).toMatchObject({ status: 200, body: "" });
  });

  it("its port is free once the server is closed, and a port that is taken is said and closes the server", async () => {
    const host = await lendHost();
    const server = await serve(host, { listen: ["127.0.0.1"], port: 0, workers: 0, metrics: { port: 0 } });
    const { port } = server.metrics!;
    const listen = ["127.0.0.1"];
    await expect(serve(host, { listen, port: 0, workers: 0, metrics: { port } })).rejects.toMatchObject({ code: "SOCKET", message: expect.stringContaining(`metrics on 127.0.0.1 port ${port}`) as string });
    await server.close();
    await expect(get(port, "/metrics")).rejects.toThrow("ECONNREFUSED");
  });
});
