// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Where a relay may send: the targets that its operator has named, and of a name only addresses on the public internet, so that
 * whoever rules a name's DNS does not rule what the relay reaches. An address that the operator wrote is taken as it stands.
 *
 * A name keeps the address that answered last: cookies of NTS are good with the server that they came from. Tested in
 * targets.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import { literalFamily } from "../client/resolve.ts";
import { unmapped } from "../address.ts";
import { isHost } from "./protocol.ts";

export type Transport = "udp" | "tcp";

interface Target {
  readonly host: string;
  readonly port: number;
  readonly transports: readonly Transport[];
}

/** How long looked-up addresses are used, ms. */
const FRESH_MS = 60_000;

/** `[udp:|tcp:]HOST:PORT`, IPv6 in brackets. @throws {NtpError} `INVALID_ARGUMENT` */
export function parseTarget(text: string): Target {
  const [, transport, bracketed, plain, digits] = /^(?:(udp|tcp):)?(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text.trim()) ?? [];
  const host = bracketed ?? plain ?? "";
  const port = Number(digits);
  if (!isHost(host) || (bracketed !== undefined && !bracketed.includes(":")) || !(port >= 1 && port <= 65535)) {
    throw new NtpError("INVALID_ARGUMENT", `expected a target like "time.example.org:123", "tcp:time.example.org:4460" or "[2001:db8::1]:123", got "${text}"`);
  }
  return { host: canonical(host), port, transports: transport ? [transport.toLowerCase() as Transport] : ["udp", "tcp"] };
}

export class Targets {
  readonly #host: Host;
  readonly #allowed: ReadonlySet<string>;
  readonly #known = new Map<string, Known>();

  /** @throws {NtpError} `INVALID_ARGUMENT` */
  constructor(host: Host, allow: readonly string[]) {
    this.#host = host;
    this.#allowed = new Set(allow.map(parseTarget).flatMap(({ host: name, port, transports }) => transports.map((transport) => key(transport, name, port))));
  }

  allows(transport: Transport, host: string, port: number): boolean {
    return this.#allowed.has(key(transport, canonical(host), port));
  }

  /** The address to ask; one look-up at a time for each name. MUST only be asked for allowed hosts. @throws {NtpError} `DNS` */
  async address(name: string): Promise<string> {
    const host = canonical(name);
    // Where there is no resolver (a Worker) whoever connects looks the name up, and that platform's network has no inside.
    if (literalFamily(host) || !this.#host.resolve) return host;
    let known = this.#known.get(host);
    if (!known || performance.now() - known.at > FRESH_MS) {
      known = { at: performance.now(), addresses: this.#lookUp(host), preferred: known?.preferred };
      this.#known.set(host, known);
    }
    try {
      const addresses = await known.addresses;
      if (!known.preferred || !addresses.includes(known.preferred)) known.preferred = addresses[0];
      return known.preferred!;
    } catch (error) {
      if (this.#known.get(host) === known) this.#known.delete(host);
      throw error;
    }
  }

  /** An address did not answer: the next request goes to the next. */
  async failed(name: string, address: string): Promise<void> {
    const known = this.#known.get(canonical(name));
    const addresses = await known?.addresses.catch((): string[] => []);
    if (known && addresses && known.preferred === address) known.preferred = addresses[(addresses.indexOf(address) + 1) % addresses.length];
  }

  async #lookUp(host: string): Promise<string[]> {
    const found = await this.#host.resolve!(host).catch((cause: unknown) => {
      throw new NtpError("DNS", "the name cannot be looked up", { cause });
    });
    const all = found.map(({ address }) => unmapped(address));
    const open = all.filter(isPublic);
    if (open.length > 0) return open;
    throw new NtpError("DNS", all.length === 0 ? "no address" : "no address on the public internet; the relay's operator can allow the address itself");
  }
}

interface Known {
  readonly at: number;
  readonly addresses: Promise<string[]>;
  preferred: string | undefined;
}

function key(transport: Transport, host: string, port: number): string {
  return `${transport} ${host} ${port}`;
}

/** One spelling for each: lower case, no final dot, IPv6 as URLs have it, v4-mapped addresses as IPv4. */
function canonical(host: string): string {
  if (!host.includes(":")) return host.toLowerCase().replace(/\.$/, "");
  return unmapped(host).includes(":") ? new URL(`http://[${host}]`).hostname.slice(1, -1) : unmapped(host);
}

/**
 * Whether an address is on the public internet (the special-purpose registries of IANA, RFC 6890): not this host, not this
 * network, not many hosts at once, and no other address in disguise.
 */
export function isPublic(address: string): boolean {
  if (!address.includes(":")) return isPublicIPv4(address);
  if (address.includes("%") || !URL.canParse(`http://[${address}]`)) return false;
  const head = parseInt(canonical(address).split(":")[0] || "0", 16);
  // Global unicast is 2000::/3; of it 2001::/23 (Teredo and the like), 2001:db8::/32, 2002::/16 (6to4) and 3fff::/20 are not.
  const second = parseInt(canonical(address).split(":")[1] || "0", 16);
  if (head >> 13 !== 1 || head === 0x2002 || (head === 0x3fff && second < 0x1000)) return false;
  return !(head === 0x2001 && (second < 0x200 || second === 0xdb8));
}

/** Network, prefix length. */
const CLOSED_IPV4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8], ["10.0.0.0", 8], ["100.64.0.0", 10], ["127.0.0.0", 8], ["169.254.0.0", 16], ["172.16.0.0", 12], ["192.0.0.0", 24],
  ["192.0.2.0", 24], ["192.88.99.0", 24], ["192.168.0.0", 16], ["198.18.0.0", 15], ["198.51.100.0", 24], ["203.0.113.0", 24], ["224.0.0.0", 3],
];

function isPublicIPv4(address: string): boolean {
  const number = ipv4(address);
  return number !== undefined && !CLOSED_IPV4.some(([network, length]) => number >>> (32 - length) === ipv4(network)! >>> (32 - length));
}

function ipv4(address: string): number | undefined {
  const octets = address.split(".").map(Number);
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address) || octets.some((octet) => octet > 255)) return undefined;
  return octets.reduce((value, octet) => ((value << 8) | octet) >>> 0, 0);
}
