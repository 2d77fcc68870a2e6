// SPDX-License-Identifier: MIT OR Apache-2.0
/** The servers of the demo page: a relay that tells its own time, and Roughtime servers behind it. build/demo-browser.mjs runs it. */

import { startRelay } from "../../../hosts/common/relay/server.ts";
import { delegations, generateKey } from "../../../hosts/common/roughtime/keys.ts";
import { serveRoughtime } from "../../../hosts/common/roughtime/server.ts";
import { lendHost } from "../../../hosts/node/index.ts";

const RADIUS = 0.005;

export async function startDemo(ahead: number) {
  const host = await lendHost();
  const aheadNs = BigInt(Math.round(ahead * 1e9));
  const { clock } = host;
  const shifted = { ...host, clock: { now: () => clock.now() + aheadNs, monotonic: () => clock.monotonic(), precision: clock.precision, description: clock.description } };
  const start = BigInt(Math.floor(Date.now() / 1000)) - 60n;
  const signers = await Promise.all(["signed by Ada", "signed by Bo", "signed by who knows"].map(async (name) => {
    const key = generateKey(host);
    const shown = name.endsWith("knows") ? generateKey(host) : key;
    const server = await serveRoughtime(shifted, { listen: [{ address: "127.0.0.1", port: 0 }], keys: delegations(host, key, { start, days: 1, count: 1 }), radius: () => RADIUS, grease: 0, rate: 0, clock: shifted.clock.now });
    const { port } = server.addresses[0]!;
    return { server, entry: { name, source: `roughtime:127.0.0.1:${port}#${Buffer.from(shown.publicKey).toString("base64")}` }, target: `127.0.0.1:${port}` };
  }));
  const relay = await startRelay(shifted, { listen: { address: "127.0.0.1", port: 0 }, allow: signers.map(({ target }) => target), time: { stratum: 2, rootDispersion: 0.002 } });
  return {
    relay: `ws://127.0.0.1:${relay.local.port}/`,
    roughtime: signers.map(({ entry }) => entry),
    close: async () => {
      await relay.close();
      for (const { server } of signers) await server.close();
    },
  };
}
