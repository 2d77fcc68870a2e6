// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Worker that tells the time, and asks for it: GET / tells its own, GET /ask asks a server by NTS.
 *
 * Bindings: RELAY, the URL of a relay; SOURCE, like "nts:time.example.org"; CA, the roots that are trusted (PEM), as a Worker has
 * none to lend. docs/edge.md tells how it is deployed.
 */
import { connect } from "cloudflare:sockets";
import { edge, timeServer } from "escapement/edge";

// The platform's clock is good to some ten milliseconds: say what you know, not what you hope.
const tell = timeServer({ id: "worker.example.org", time: { stratum: 3, rootDispersion: 0.05 } });

export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname !== "/ask") return tell(request);
    // Keys are established by the Worker's own TCP; datagrams need a relay, which is not trusted.
    const { query } = edge({ relay: env.RELAY, connect });
    try {
      const { offset, rootDistance, authenticated } = await query(env.SOURCE, { nts: { ca: env.CA } });
      return Response.json({ offset, rootDistance, authenticated });
    } catch (error) {
      return Response.json({ code: error.code, message: error.message }, { status: 502 });
    }
  },
};
