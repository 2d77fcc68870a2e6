// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The page that the daemon serves: the files of dist/dashboard, what is known now at /state.json, the last hours at
 * /history.json. It runs in the service thread, asks for no more than one snapshot a second however many pages are open,
 * and refuses to change anything.
 *
 * A page of somebody else MUST NOT read it, not even by a name of its own that leads to this machine (DNS rebinding): what
 * is asked for under a name is only told to "localhost". The page itself loads nothing from elsewhere and runs no code but
 * its own. Tested in dashboard.test.ts and tests/browser/dashboard.test.ts.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { Endpoint, Host, HttpAnswer, HttpListener } from "../hosts/common/host.ts";
import type { ClientState, ServerCounters } from "../hosts/common/server/clients.ts";
import type { RoughtimeServerStats } from "../hosts/common/roughtime/server.ts";
import type { ServerStats } from "../hosts/common/server/serve.ts";
import type { Newest } from "./newest.ts";
import { Past, POINT_EVERY } from "./past.ts";
import type { Snapshot } from "./report.ts";

/** What /state.json tells. */
export interface DashboardState extends Snapshot {
  /** This machine's name. */
  readonly host: string;
  /** The daemon's clock as this was written, ns since 1970. */
  readonly time: string;
  /** s since the rest was taken. */
  readonly age: number;
  /** Null where nobody is served. */
  readonly serverstats: Served | null;
  /** Who asked last, as far as is known. */
  readonly clients: readonly ClientState[];
}

interface Served {
  readonly stats: ServerStats;
  readonly counters: ServerCounters;
  readonly roughtime?: RoughtimeServerStats;
}

/** Where its knowledge comes from. */
export interface DashboardMeans {
  readonly host: Pick<Host, "runtime" | "listenHttp">;
  readonly newest: Newest;
  /** The daemon's clock, ns since 1970. */
  readonly now: () => bigint;
  /** As the observation socket's topic of this name. */
  readonly report: (topic: "serverstats" | "clients") => unknown;
}

/** The page shows the first of them; more are for `escapement clients`. */
const CLIENTS_SHOWN = 12;
/** ms for which an answer serves all who ask. Clients are looked for in all of the server's table, so more seldom. */
const STATE_SHARED_MS = 900;
const CLIENTS_SHARED_MS = 10_000;

/** Serve the page. @throws {Error} that says why it cannot be served there */
export async function startDashboard(place: Endpoint, means: DashboardMeans): Promise<HttpListener> {
  const { host } = means;
  if (!host.listenHttp) throw new Error(`expected a runtime that can listen for HTTP, which observe.dashboard needs, got ${host.runtime}`);
  const files = await readFiles(pageFolder());
  const past = new Past();
  const state = shared(STATE_SHARED_MS, () => takeState(means, clients));
  const clients = shared(CLIENTS_SHARED_MS, async () => (((await means.report("clients")) ?? []) as ClientState[]).slice(0, CLIENTS_SHOWN));
  const listener = await host.listenHttp(place, (path, asked) => {
    if (!isOwnName(asked)) return { ...text(421, `expected the host localhost or an IP address, got ${JSON.stringify(asked ?? "")}; open http://localhost:${place.port}/`), headers: HEADERS };
    return answer(path, { files, past, state, now: means.now }).then((one) => ({ ...one, headers: HEADERS }));
  }).catch((cause: Error) => {
    throw new Error(`expected to serve the page on ${place.address} port ${place.port}, got ${cause.message}; choose another observe.dashboard`, { cause });
  });
  const timer = setInterval(() => void note(past, means), POINT_EVERY * 1000);
  void note(past, means);
  return {
    local: listener.local,
    close: () => {
      clearInterval(timer);
      return listener.close();
    },
  };
}

interface Answering {
  readonly files: ReadonlyMap<string, HttpAnswer>;
  readonly past: Past;
  readonly state: () => Promise<Omit<DashboardState, "time"> | undefined>;
  readonly now: () => bigint;
}

async function answer(path: string, { files, past, state, now }: Answering): Promise<HttpAnswer> {
  if (path === "/history.json") return json(200, past.report());
  if (path !== "/state.json") return files.get(path) ?? text(404, "expected /, /state.json or /history.json");
  const told = await state();
  return told ? json(200, { time: String(now()), ...told }) : json(503, { error: "the daemon has just been started, or is busy; ask again" });
}

async function takeState({ newest, report }: DashboardMeans, clients: () => Promise<readonly ClientState[]>): Promise<Omit<DashboardState, "time"> | undefined> {
  const [snapshot, asked] = await Promise.all([newest.fresh(), clients()]);
  return snapshot && { host: machine(), age: newest.age, ...snapshot, serverstats: report("serverstats") as Served | null, clients: asked };
}

/** Deno tells nobody unasked. */
function machine(): string {
  try {
    return hostname();
  } catch {
    return "this machine";
  }
}

/** A point of the past, unless the sampling thread has been too busy to tell. */
async function note(past: Past, { newest, now, report }: DashboardMeans): Promise<void> {
  const snapshot = await newest.fresh({ once: true });
  if (!snapshot || newest.age >= POINT_EVERY) return;
  const { offset, uncertainty, frequencyPpm, skewPpm } = snapshot.tracking;
  const answered = (report("serverstats") as Served | null)?.stats.answered ?? null;
  past.note({ time: Number(now()) / 1e9, offset, uncertainty, frequencyPpm, skewPpm, answered });
}

/** One answer for all who ask within `ms` of the first. What fails is not kept. */
function shared<T>(ms: number, make: () => Promise<T>): () => Promise<T> {
  let at = -Infinity;
  let made: Promise<T> | undefined;
  return () => {
    const now = performance.now();
    if (made && now - at < ms) return made;
    at = now;
    const one = make();
    one.catch(() => (made = undefined));
    return (made = one);
  };
}

// --- who is answered, and with what ---

/**
 * Whether a page that somebody opened under this name is ours. A stranger's name may lead here; an address, and "localhost",
 * are nobody's name. The port may be another one, which a tunnel leads here.
 */
export function isOwnName(host: string | undefined): boolean {
  const { bracketed, plain } = /^(?:\[(?<bracketed>[^\]]+)\]|(?<plain>[^:]+))(?::\d{1,5})?$/.exec(host ?? "")?.groups ?? {};
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  return plain !== undefined && (isIP(plain) === 4 || plain.toLowerCase() === "localhost");
}

/** Nothing from elsewhere, no code in the page, no page around it, nothing for pages of others. */
const HEADERS = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

function text(status: number, message: string): HttpAnswer {
  return { status, type: "text/plain; charset=utf-8", body: `${message}\n` };
}

function json(status: number, value: object): HttpAnswer {
  return { status, type: "application/json", body: JSON.stringify(value) };
}

/** Path → type. */
const FILES: Readonly<Record<string, string>> = {
  "index.html": "text/html; charset=utf-8",
  "dashboard.css": "text/css; charset=utf-8",
  "dashboard.js": "text/javascript; charset=utf-8",
  "dashboard.js.LEGAL.txt": "text/plain; charset=utf-8",
  "icon.svg": "image/svg+xml",
};

async function readFiles(folder: URL): Promise<ReadonlyMap<string, HttpAnswer>> {
  const files = await Promise.all(
    Object.entries(FILES).map(async ([name, type]): Promise<[string, HttpAnswer]> => [name === "index.html" ? "/" : `/${name}`, { status: 200, type, body: await readFile(new URL(name, folder), "utf8") }]),
  );
  return new Map(files);
}

/** What the build made: beside the bundler's folder of shared pieces, or, for the sources themselves, in dist. */
function pageFolder(): URL {
  const places = ["../dashboard/", "../dist/dashboard/"].map((path) => new URL(path, import.meta.url));
  const found = places.find((place) => existsSync(new URL("dashboard.js", place)));
  if (!found) throw new Error(`expected the page's files in ${places[0]!.pathname}, got none; install the package whole, or build it`);
  return found;
}
