// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The servers of the demo page: a relay that tells its own time, and behind it one with NTS and three with Roughtime, of which the
 * last signs with another key than it should. build/demo-browser.mjs runs it.
 */

import { createApi } from "../../../hosts/common/api.ts";
import type { Host } from "../../../hosts/common/host.ts";
import { startRelay } from "../../../hosts/common/relay/server.ts";
import { delegations, generateKey } from "../../../hosts/common/roughtime/keys.ts";
import { serveRoughtime } from "../../../hosts/common/roughtime/server.ts";
import { lendHost } from "../../../hosts/node/index.ts";
import { issue, makeCa } from "../../../tests/support/pki.ts";

const RADIUS = 0.005;
const NEAR = "127.0.0.1";
/** For some open pages; all have one address. */
const LIMITS = { rate: 200, burst: 400, connectionsPerAddress: 200 };

/** What the page is told of a source: how it is asked, and who vouches for its answers. */
interface Signer {
  readonly name: string;
  readonly source: string;
  readonly by: string;
  readonly nts?: { readonly ca: string };
}

interface Started {
  readonly signer: Signer;
  readonly targets: readonly string[];
  close(): Promise<void>;
}

async function withNts(host: Host): Promise<Started> {
  const authority = makeCa({ name: "Demo Root" });
  const { certificate, key } = issue(authority, { name: "demo", ips: [NEAR] });
  const server = await createApi(async () => host).serve({ listen: [NEAR], port: 0, stratum: 1, rootDispersion: 0.001, clock: () => host.clock.now(), nts: { certificate, key, port: 0 } });
  const ke = server.nts!.addresses[0]!.port;
  return {
    signer: { name: "NTS", source: `nts:${NEAR}:${ke}`, by: "TLS 1.3, a certificate of Demo Root", nts: { ca: authority.certificate } },
    targets: [`udp:${NEAR}:${server.addresses[0]!.port}`, `tcp:${NEAR}:${ke}`],
    close: () => server.close(),
  };
}

async function withRoughtime(host: Host, name: string, honest: boolean): Promise<Started> {
  const key = generateKey(host);
  const shown = Buffer.from((honest ? key : generateKey(host)).publicKey).toString("base64");
  const start = BigInt(Math.floor(Date.now() / 1000)) - 60n;
  const server = await serveRoughtime(host, { listen: [{ address: NEAR, port: 0 }], keys: delegations(host, key, { start, days: 1, count: 1 }), radius: () => RADIUS, grease: 0, rate: 0, clock: host.clock.now });
  const { port } = server.addresses[0]!;
  return {
    signer: { name, source: `roughtime:${NEAR}:${port}#${shown}`, by: `Ed25519 key ${shown.slice(0, 8)}…` },
    targets: [`${NEAR}:${port}`],
    close: () => server.close(),
  };
}

export async function startDemo(ahead: number) {
  const host = await lendHost();
  const aheadNs = BigInt(Math.round(ahead * 1e9));
  const { clock } = host;
  const shifted: Host = { ...host, clock: { now: () => clock.now() + aheadNs, monotonic: () => clock.monotonic(), precision: clock.precision, description: clock.description } };
  const started = await Promise.all([withNts(shifted), withRoughtime(shifted, "Roughtime, Ada", true), withRoughtime(shifted, "Roughtime, Bo", true), withRoughtime(shifted, "an impostor", false)]);
  const relay = await startRelay(shifted, { listen: { address: NEAR, port: 0 }, allow: started.flatMap(({ targets }) => targets), time: { stratum: 2, rootDispersion: 0.002 }, limits: LIMITS });
  return {
    relay: `ws://${NEAR}:${relay.local.port}/`,
    signers: started.map(({ signer }) => signer),
    close: async () => {
      await relay.close();
      for (const one of started) await one.close();
    },
  };
}
