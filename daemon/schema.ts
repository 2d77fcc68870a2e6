// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The configuration's keys: which there are, and what each may be. Everything that is wrong is found, not only the first.
 *
 * docs/daemon.md describes every key; a test holds the two together. Tested in config.test.ts.
 *
 * @module
 */

import { isIP } from "node:net";
import { isAbsolute } from "node:path";
import { parseSource } from "../hosts/common/client/source.ts";
import { checkedAccess } from "../hosts/common/server/limits.ts";
import type { Path } from "./locate.ts";
import { nearest } from "./nearest.ts";
import { REFCLOCK_RULE } from "./refclocks.ts";

/** What is wrong with one key. */
export interface Fault {
  readonly path: Path;
  /** Whether the key itself is wrong, or its value. */
  readonly about: "key" | "value";
  readonly message: string;
}

/** What a value may be. */
export type Rule =
  | { readonly kind: "choice"; readonly of: readonly (string | number)[] }
  | { readonly kind: "number"; readonly min: number; readonly max: number; readonly integer?: true; readonly unit: string }
  | { readonly kind: "flag" }
  /** `wrong` says what is wrong with a text, in a sentence of "expected …, got …". */
  | { readonly kind: "text"; readonly wrong: (text: string) => string | undefined }
  | { readonly kind: "list"; readonly of: Rule }
  | { readonly kind: "table" | "tables"; readonly keys: Keys; readonly required?: readonly string[] };

export type Keys = Readonly<Record<string, Rule>>;

/** log2 s. Beyond 17 (36 hours) RFC 5905 §7.2 does not go. */
const POLL: Rule = { kind: "number", min: 0, max: 17, integer: true, unit: "log2 s" };
const STEP_LIMIT: Rule = { kind: "number", min: 0, max: 1e9, unit: "s" };
const PORT = { kind: "number", min: 1, max: 65535, integer: true, unit: "UDP port" } as const satisfies Rule;
/** Where something is told over HTTP. */
const HTTP_PLACE: Rule = { kind: "table", keys: { address: { kind: "text", wrong: wrongAddress }, port: { ...PORT, unit: "TCP port" } } };
const ADDRESSES: Rule = { kind: "list", of: { kind: "text", wrong: wrongAddress } };
const PATH: Rule = { kind: "text", wrong: (text) => (isAbsolute(text) ? undefined : `expected an absolute path, got ${shown(text)}`) };
/** The shortest `sun_path` in use, macOS', less its final zero. */
const SOCKET_PATH_OCTETS = 103;

/** All keys there are. */
export const KEYS: Keys = {
  source: {
    kind: "tables",
    required: ["address"],
    keys: {
      address: { kind: "text", wrong: wrongSource },
      pool: { kind: "number", min: 1, max: 16, integer: true, unit: "addresses" },
      version: { kind: "choice", of: [3, 4, 5, "auto"] },
      "min-poll": POLL,
      "max-poll": POLL,
      mode: { kind: "choice", of: ["client", "symmetric", "broadcast"] },
      interleaved: { kind: "flag" },
      correction: { kind: "flag" },
      key: { kind: "text", wrong: wrongKeyRef },
      nts: {
        kind: "table",
        keys: {
          ca: PATH,
          pins: { kind: "list", of: { kind: "text", wrong: wrongPin } },
          pq: { kind: "choice", of: ["prefer", "require", "off"] },
          "cert-time": { kind: "choice", of: ["system", "until-synced", "saved", "roughtime"] },
          aead: { kind: "list", of: { kind: "choice", of: [15, 16, 17, 30] } },
        },
      },
      listen: { kind: "table", keys: { port: PORT, group: { kind: "text", wrong: wrongGroup }, interface: { kind: "text", wrong: wrongInterface } } },
    },
  },
  refclock: REFCLOCK_RULE,
  peering: {
    kind: "table",
    keys: { port: PORT, addresses: ADDRESSES, allow: ADDRESSES, limit: { kind: "number", min: 1, max: 64, integer: true, unit: "peers" } },
  },
  clock: {
    kind: "table",
    keys: {
      mode: { kind: "choice", of: ["system", "virtual", "observe"] },
      algorithm: { kind: "choice", of: ["estimator", "pll-fll"] },
      "drift-file": PATH,
      "hardware-timestamps": { kind: "list", of: { kind: "text", wrong: wrongCard } },
      "make-step": {
        kind: "table",
        keys: {
          threshold: { kind: "number", min: 0.001, max: 1e6, unit: "s" },
          limit: { kind: "number", min: -1, max: 1e6, integer: true, unit: "corrections" },
        },
      },
      "step-limits": { kind: "table", keys: { single: STEP_LIMIT, startup: STEP_LIMIT, sum: STEP_LIMIT } },
    },
  },
  observe: { kind: "table", keys: { enabled: { kind: "flag" }, socket: { kind: "text", wrong: wrongSocket }, dashboard: HTTP_PLACE } },
  server: {
    kind: "table",
    keys: {
      listen: ADDRESSES,
      port: PORT,
      workers: { kind: "number", min: 0, max: 64, integer: true, unit: "threads" },
      access: { kind: "list", of: { kind: "text", wrong: wrongRule } },
      "rate-limit": {
        kind: "table",
        keys: {
          interval: { kind: "number", min: 1e-6, max: 65536, unit: "s" },
          burst: { kind: "number", min: 1, max: 255, integer: true, unit: "requests" },
          leak: { kind: "number", min: 0, max: 16, integer: true, unit: "log2" },
        },
      },
      interleaved: { kind: "flag" },
      "client-log": { kind: "flag" },
      control: { kind: "flag" },
      smear: { kind: "flag" },
      "leap-file": PATH,
      "ut1-offset": { kind: "number", min: -1, max: 1, unit: "s" },
      keys: PATH,
      user: { kind: "text", wrong: (text) => (/^[\w.-]+$/.test(text) ? undefined : `expected the name of a user, got ${shown(text)}`) },
      metrics: HTTP_PLACE,
      nts: {
        kind: "table",
        keys: {
          certificate: PATH,
          key: PATH,
          listen: ADDRESSES,
          port: PORT,
          aead: { kind: "list", of: { kind: "choice", of: [15, 16, 17, 30] } },
          "cookie-keys": PATH,
          secret: PATH,
        },
      },
      roughtime: { kind: "table", keys: { key: PATH, listen: ADDRESSES, port: PORT, grease: { kind: "number", min: 0, max: 0.5, unit: "of all answers" } } },
    },
  },
  roughtime: { kind: "table", keys: { servers: { kind: "list", of: { kind: "text", wrong: wrongRoughtime } }, list: PATH } },
  log: { kind: "table", keys: { level: { kind: "choice", of: ["error", "warning", "info", "debug"] } } },
};

function wrongAddress(text: string): string | undefined {
  return isIP(text) ? undefined : `expected an IP address, got ${shown(text)}`;
}

function wrongRule(text: string): string | undefined {
  try {
    checkedAccess([text]);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function wrongSource(text: string): string | undefined {
  try {
    parseSource(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function wrongRoughtime(text: string): string | undefined {
  try {
    if (parseSource(text, { roughtime: true }).scheme === "roughtime") return undefined;
  } catch (error) {
    return (error as Error).message;
  }
  return `expected a Roughtime server like "roughtime:time.example.org:2002#KEY", with its public key in base64, got ${shown(text)}`;
}

function wrongKeyRef(text: string): string | undefined {
  return isAbsolute(text) && /:\d+$/.test(text) ? undefined : `expected the absolute path of a key file and a key's number, like "/etc/escapement/keys:7", got ${shown(text)}`;
}

/** SHA-256 in base64. */
function wrongPin(text: string): string | undefined {
  return /^[A-Za-z0-9+/]{43}=$/.test(text) ? undefined : `expected the SHA-256 of a public key in base64, 44 characters, got ${shown(text)}`;
}

/** 224.0.0.0/4, ff00::/8 */
function wrongGroup(text: string): string | undefined {
  const family = isIP(text);
  const first = Number.parseInt(text, 10);
  const multicast = family === 6 ? /^ff/i.test(text) : family === 4 && first >= 224 && first < 240;
  return multicast ? undefined : `expected a multicast address like "224.0.1.1" or "ff05::101", got ${shown(text)}`;
}

function wrongInterface(text: string): string | undefined {
  return text.length > 0 ? undefined : "expected an interface, by its address for IPv4 and its name for IPv6, got \"\"";
}

/** IFNAMSIZ of Linux, its final zero left out. */
const INTERFACE_NAME_OCTETS = 15;

function wrongCard(text: string): string | undefined {
  const fits = /^[^\s/]+$/.test(text) && new TextEncoder().encode(text).length <= INTERFACE_NAME_OCTETS;
  return fits ? undefined : `expected the name of a network interface, or "*" for all that can, got ${shown(text)}`;
}

function wrongSocket(text: string): string | undefined {
  const octets = new TextEncoder().encode(text).length;
  if (isAbsolute(text) && octets <= SOCKET_PATH_OCTETS) return undefined;
  return `expected an absolute path of at most ${SOCKET_PATH_OCTETS} octets, got ${isAbsolute(text) ? `${octets}` : shown(text)}`;
}

/** Every fault of `table`, which stands at `path`. */
export function faultsOf(table: object, keys: Keys, path: Path = []): Fault[] {
  return Object.entries(table).flatMap(([name, value]) => {
    const here = [...path, name];
    const rule = Object.hasOwn(keys, name) ? keys[name] : undefined;
    return rule ? judge(value, rule, here) : [unknownKey(name, keys, here)];
  });
}

function unknownKey(name: string, keys: Keys, path: Path): Fault {
  const meant = nearest(name, Object.keys(keys));
  const hint = meant ? `did you mean ${shown(meant)}?` : `there are ${Object.keys(keys).join(", ")}`;
  return { path, about: "key", message: `expected a key that is known, got ${shown(name)}; ${hint}` };
}

function judge(value: unknown, rule: Rule, path: Path): Fault[] {
  const expected = (what: string, hint = ""): Fault[] => [{ path, about: "value", message: `expected ${what}, got ${shown(value)}${hint}` }];
  switch (rule.kind) {
    case "choice":
      return rule.of.some((allowed) => allowed === value) ? [] : expected(listed(rule.of), meantChoice(value, rule.of));
    case "number": {
      const inRange = typeof value === "number" && value >= rule.min && value <= rule.max && (!rule.integer || Number.isInteger(value));
      return inRange ? [] : expected(`a ${rule.integer ? "whole number" : "number"} of ${rule.min}..${rule.max} (${rule.unit})`);
    }
    case "flag":
      return typeof value === "boolean" ? [] : expected("true or false");
    case "text": {
      if (typeof value !== "string") return expected("a text in quotes");
      const message = rule.wrong(value);
      return message === undefined ? [] : [{ path, about: "value", message }];
    }
    case "list":
      if (!Array.isArray(value) || value.length === 0) return expected("a list in brackets of at least one member");
      return value.flatMap((member, index) => judge(member, rule.of, [...path, index]));
    case "table":
      return isTable(value) ? faultsOf(value, rule.keys, path) : expected(path.length > 1 ? "a table in braces" : `a section [${path[0]}]`);
    case "tables":
      if (!Array.isArray(value) || !value.every(isTable)) return expected(`sections [[${path[0]}]], in double brackets`);
      return value.flatMap((member, index) => [...missing(member, rule.required ?? [], [...path, index]), ...faultsOf(member, rule.keys, [...path, index])]);
  }
}

function missing(table: object, required: readonly string[], path: Path): Fault[] {
  return required.filter((name) => !Object.hasOwn(table, name)).map((name) => ({ path, about: "key", message: `expected a key ${shown(name)} here, got none` }));
}

function isTable(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function listed(values: readonly (string | number)[]): string {
  const texts = values.map((value) => JSON.stringify(value));
  return `${texts.slice(0, -1).join(", ")} or ${texts.at(-1)}`;
}

function meantChoice(value: unknown, of: readonly (string | number)[]): string {
  const meant = typeof value === "string" ? nearest(value, of.map(String)) : undefined;
  return meant ? `; did you mean ${shown(meant)}?` : "";
}

const LONGEST_SHOWN = 60;

/** A value for a message: recognisable, but never longer than the message itself. */
export function shown(value: unknown): string {
  if (isTable(value)) return "a table";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}
