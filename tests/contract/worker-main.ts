// SPDX-License-Identifier: MIT OR Apache-2.0
/** Runs the contract suite in a Worker of workerd: the report is its answer to GET /contract. Bundled by tests/edge/workerd.ts. @module */

import { connect } from "cloudflare:sockets";
// A second copy of the module that is imported, as octets: workerd lends no way from a module back to them.
import octets from "core.bin";
import { createApi, edge, lendHost, type Escapement } from "escapement/edge";
import { reportOf } from "./all.ts";
import { sha256 } from "./replay.ts";
import { askedElsewhere, type Elsewhere } from "./servers.ts";
import { BY_RELAY } from "./suite.ts";

export default {
  async fetch({ url }: Request, { RELAY, SERVERS }: { RELAY: string; SERVERS: string }): Promise<Response> {
    if (new URL(url).pathname !== "/contract") return new Response(null, { status: 404 });
    const options = { relay: RELAY, connect };
    const report = await reportOf({
      host: lendHost(options),
      api: edge(options) as Escapement,
      createApi,
      asked: askedElsewhere(JSON.parse(SERVERS) as Elsewhere),
      stamps: "user",
      reportsRefusal: false,
      lacks: { ...BY_RELAY, life: "what a Worker opens lives as long as its request: there is no startClock, no watch" },
    }, await sha256(new Uint8Array(octets)));
    return Response.json(report);
  },
};
