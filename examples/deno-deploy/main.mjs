// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * For platforms that run Deno at the edge, without UDP: GET / and WebSockets tell the time, GET /ask asks a server by NTS.
 *
 * Environment: RELAY, the URL of a relay; SOURCE, like "nts:time.example.org"; CA, the roots that are trusted (PEM); PORT for a
 * trial at home:   deno run --allow-net --allow-env examples/deno-deploy/main.mjs
 */
import { edge, timeServer } from "escapement/edge";

// Say what you know of the platform's clock, not what you hope.
const tell = timeServer({ id: "deno.example.org", time: { stratum: 3, rootDispersion: 0.05 } });

async function ask() {
  // Neither datagrams nor its own TCP are needed: the relay carries both, and is not trusted with either.
  const { query } = edge({ relay: Deno.env.get("RELAY") });
  try {
    const { offset, rootDistance, authenticated } = await query(Deno.env.get("SOURCE"), { nts: { ca: Deno.env.get("CA") } });
    return Response.json({ offset, rootDistance, authenticated });
  } catch (error) {
    return Response.json({ code: error.code, message: error.message }, { status: 502 });
  }
}

Deno.serve({ port: Number(Deno.env.get("PORT") ?? 8000) }, (request, { remoteAddr }) =>
  new URL(request.url).pathname === "/ask" ? ask() : tell(request, remoteAddr.hostname));
