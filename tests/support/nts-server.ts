// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A whole NTS server on loopback, of our own parts, that can be told which versions it offers keys for and which packets it does
 * not hear: what servers in the field do that have one program for keys and another for time.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { lendHost } from "../../hosts/node/index.ts";
import { Core } from "../../hosts/common/core/core.ts";
import type { UdpSocket } from "../../hosts/common/host.ts";
import { CookieKeyRing } from "../../hosts/common/nts/keys.ts";
import { serveKe } from "../../hosts/common/nts/server.ts";
import { derivedKeys } from "../../hosts/common/nts/stores.ts";
import { NtsCookies } from "../../hosts/common/server/ntscookies.ts";
import type { PkiFiles } from "./files-of-pki.ts";
import { loopbackAlias } from "./peers.ts";

export interface NtsServer extends AsyncDisposable {
  /** HOST:PORT of key establishment, for "nts:". */
  readonly source: string;
  /** Versions of all packets that came. */
  readonly versions: Set<number>;
  /** All packets that came. */
  readonly packets: Uint8Array[];
}

export interface NtsServerOptions {
  /** Next protocols of key establishment: 0 is NTPv4, 0x8001 drafts of NTPv5. */
  readonly protocols: readonly number[];
  readonly drafts?: readonly string[];
  /** Answers only what this lets through. */
  readonly hears?: (packet: Uint8Array) => boolean;
  /** PEM; default: one that is good now. */
  readonly certificate?: { readonly certificate: string; readonly key: string };
  readonly address?: string;
}

/** Key establishment, and beside it the core that opens its cookies. */
export async function ntsServer(pki: PkiFiles, { protocols, drafts, hears = () => true, certificate, address = loopbackAlias() }: NtsServerOptions): Promise<NtsServer> {
  const host = await lendHost();
  const core = new Core();
  const cookies = new NtsCookies(core, (bytes) => host.random(bytes));
  cookies.seed();
  const ring = await CookieKeyRing.open(derivedKeys(host.random(new Uint8Array(32))), { onChange: ({ all, current }) => cookies.setKeys(all, current.id) });
  const [slot, server] = [core.constant("SLOTS"), core.constant("SERVER")];
  core.view.setUint8(server + core.constant("SERVER_STRATUM"), 1);
  const versions = new Set<number>();
  const packets: Uint8Array[] = [];
  const socket: UdpSocket = await host.openUdp!({ family: 4, address, port: 0 }, {
    onError() {},
    onDatagram({ data, receivedNs, from }) {
      versions.add((data[0]! >> 3) & 7);
      packets.push(data.slice());
      if (!hears(data)) return;
      core.bytes.set(data, slot);
      const length = core.exports.respond(slot, data.length, core.exports.timestampFromUnixNs(receivedNs), server);
      if (length === 0) return;
      core.exports.stampTransmit(slot, core.exports.timestampFromUnixNs(host.clock.now()));
      void socket.send(core.bytes.slice(slot, slot + length), from);
    },
  });
  const ke = await serveKe(host, {
    ...(certificate ?? issued(pki, address)), jar: cookies, listen: [address], port: 0,
    protocols: [...protocols], ...(drafts ? { drafts: [...drafts] } : {}), servers: [{ host: address, port: socket.local.port }],
  });
  return {
    source: `${address}:${ke.addresses[0]!.port}`,
    versions,
    packets,
    async [Symbol.asyncDispose]() {
      socket.close();
      ring.close();
      await ke.close();
    },
  };
}

function issued(pki: PkiFiles, address: string) {
  const { certificate, key } = pki.issue(address);
  return { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
}
