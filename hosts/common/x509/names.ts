// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Is a certificate for the name that was asked for (RFC 9525), and within what its authority may certify (RFC 5280
 * §4.2.1.10)?
 *
 * Only subjectAltName counts: the common name never does. A wildcard is the whole left-most label, stands for exactly one
 * label, and has two labels or more behind it. An address matches an address entry octet by octet, never a DNS name. Names
 * are ASCII; an internationalised one must come as its A-labels. Tested in names.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { same } from "../octets.ts";
import type { GeneralName, NameConstraints } from "./extensions.ts";

/** What a certificate must be for. */
export type ServerName = { readonly kind: "dns"; readonly name: string } | { readonly kind: "ip"; readonly octets: Uint8Array };

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;
const LONGEST_NAME = 253;

/** The name or literal address that the caller gave. @throws {NtpError} `INVALID_ARGUMENT` */
export function serverName(text: string): ServerName {
  const octets = addressOctets(text.replace(/^\[(.*)\]$/, "$1"));
  if (octets) return { kind: "ip", octets };
  const name = text.toLowerCase().replace(/\.$/, "");
  const labels = name.split(".");
  // All digits at the end is an address in disguise, which no resolver would ask for.
  if (name.length <= LONGEST_NAME && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? "")) return { kind: "dns", name };
  throw new NtpError("INVALID_ARGUMENT", `expected a host name of ASCII letters, digits and hyphens, or an address, got ${JSON.stringify(text)}`);
}

/** The 4 or 16 octets of a literal address; undefined when it is none. A zone is left out: certificates know none. */
export function addressOctets(text: string): Uint8Array | undefined {
  if (!text.includes(":")) return ipv4Octets(text);
  // The tail may be written as an IPv4 address.
  const [, front = "", tail] = /^([0-9a-f:]*?)((?:\d+\.){3}\d+)?(?:%[0-9a-z.:-]+)?$/i.exec(text) ?? [];
  const last = tail === undefined ? [] : ipv4Octets(tail);
  if (!last || (front === "" && tail === undefined) || !/^[0-9a-f:]+$/i.test(front)) return undefined;
  const halves = (tail === undefined ? front : front.endsWith("::") ? front : front.replace(/:$/, "")).split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  if (!groups.flat().every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  const [head = [], rest = []] = groups.map((half) => half.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
  const missing = 16 - head.length - rest.length - last.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...rest, ...last]);
}

function ipv4Octets(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  const good = parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return good ? Uint8Array.from(parts, Number) : undefined;
}

/** Whether one of the certificate's names is the wanted one. */
export function matches(names: readonly GeneralName[], wanted: ServerName): boolean {
  return names.some((name) => {
    if (name.kind === "ip") return wanted.kind === "ip" && same(name.octets, wanted.octets);
    return name.kind === "dns" && wanted.kind === "dns" && matchesDns(name.name, wanted.name);
  });
}

function matchesDns(pattern: string, name: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === name;
  const suffix = pattern.slice(1);
  const label = name.slice(0, -suffix.length);
  return name.endsWith(suffix) && LABEL.test(label) && suffix.slice(1).includes(".") && suffix.slice(1).split(".").every((part) => LABEL.test(part));
}

/**
 * Why `names` are outside of `constraints`, or undefined. A form of constraint that is not compared here (directory names,
 * mail addresses…) refuses the path: what an authority was forbidden cannot be checked.
 */
export function violation({ permitted, excluded }: NameConstraints, names: readonly GeneralName[]): string | undefined {
  if ([...permitted, ...excluded].some(({ kind }) => kind === "other")) return "name constraints of a kind other than DNS names and addresses";
  for (const name of names) {
    if (name.kind === "other") continue;
    if (excluded.some((tree) => within(name, tree))) return `${describe(name)} is excluded by the name constraints of an authority`;
    const trees = permitted.filter((tree) => tree.kind === name.kind);
    if (trees.length === 0 || trees.some((tree) => within(name, tree))) continue;
    return `${describe(name)} is not permitted by the name constraints of an authority`;
  }
  return undefined;
}

/** ".example" and "example" both hold everything below; only the second holds "example" itself. "" holds all. */
function within(name: GeneralName, tree: GeneralName): boolean {
  if (name.kind === "dns" && tree.kind === "dns") {
    const base = tree.name.startsWith(".") ? tree.name : `.${tree.name}`;
    return tree.name === "" || name.name === tree.name || name.name.endsWith(base);
  }
  if (name.kind !== "ip" || tree.kind !== "ip" || tree.octets.length !== 2 * name.octets.length) return false;
  const size = name.octets.length;
  return name.octets.every((octet, i) => ((octet ^ (tree.octets[i] ?? 0)) & (tree.octets[size + i] ?? 0)) === 0);
}

/** A name for messages. */
export function describe(name: GeneralName | ServerName): string {
  if (name.kind === "dns") return JSON.stringify(name.name);
  if (name.kind === "other") return "a name of another kind";
  if (name.octets.length === 4) return name.octets.join(".");
  const groups = Array.from({ length: 8 }, (_group, i) => (((name.octets[2 * i] ?? 0) << 8) | (name.octets[2 * i + 1] ?? 0)).toString(16));
  return groups.join(":");
}
