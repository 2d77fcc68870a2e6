// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The observation socket: whoever may open it may ask, one JSON line each way, what the daemon knows. Read only.
 *
 *   {"get":"tracking"}⏎   →   {"tracking":{…}}⏎   or   {"error":"expected …, got …"}⏎
 *
 * A Unix socket for owner and group (0660), one request a connection, everything bounded: octets, connections, time. It
 * refuses to change anything. Tested in observe.test.ts.
 *
 * @module
 */

import { chmod, lstat, mkdir, unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import path from "node:path";

export interface ObservationOptions {
  readonly socket: string;
  /** The answer to `{"get": topic}`, or a promise of it. Called for each request. */
  readonly answer: (topic: string) => unknown;
  /** What there is, for the error that says so. */
  readonly topics: readonly string[];
  readonly limits?: Partial<Limits>;
}

interface Limits {
  /** Octets of a request. */
  readonly request: number;
  readonly connections: number;
  /** From connect to close, ms. */
  readonly timeMs: number;
}

const LIMITS: Limits = { request: 1024, connections: 32, timeMs: 5000 };
const SOCKET_MODE = 0o660;
const DIRECTORY_MODE = 0o755;

export interface Observation {
  close(): Promise<void>;
}

/** Listen. Rejects, saying why, when the socket cannot be had; one that somebody listens on is never taken away. */
export async function startObservation({ socket, answer, topics, limits }: ObservationOptions): Promise<Observation> {
  const may = <T>(act: Promise<T>): Promise<T> => act.catch((error: NodeJS.ErrnoException) => refused(socket, error));
  await may(mkdir(path.dirname(socket), { recursive: true, mode: DIRECTORY_MODE }));
  await may(removeStale(socket));
  const open = new Set<Socket>();
  const bounds = { ...LIMITS, ...limits };
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    // Before anything is read: who is one too many costs nothing but this.
    if (open.size >= bounds.connections) return void connection.on("error", () => {}).destroy();
    open.add(connection);
    connection.on("close", () => open.delete(connection));
    converse(connection, bounds, async (line) => `${JSON.stringify(await respond(line, answer, topics))}\n`);
  });
  await may(listen(server, socket));
  await may(chmod(socket, SOCKET_MODE));
  return {
    close: () =>
      new Promise((resolve) => {
        // Closing the server removes the socket's file.
        server.close(() => resolve());
        for (const connection of open) connection.destroy();
      }),
  };
}

/** The runtime names a system call; whose right is missing, and where, is of more help. */
const FORBIDDEN = new Set(["EACCES", "EPERM", "EROFS"]);

function refused(socket: string, error: NodeJS.ErrnoException): never {
  if (!FORBIDDEN.has(error.code ?? "")) throw error;
  throw new Error(`expected to make the socket ${socket}, got ${error.message}; let this user write to ${path.dirname(socket)}, or have observe.socket elsewhere`, { cause: error });
}

function listen(server: Server, socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, () => {
      server.off("error", reject);
      // An accept that fails, for want of descriptors, concerns one client only.
      server.on("error", () => {});
      resolve();
    });
  });
}

/** A socket file without a listener is what a killed daemon leaves. */
async function removeStale(socket: string): Promise<void> {
  const found = await lstat(socket).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`expected ${socket} to be a socket or not to be there, got another kind of file; remove it or choose another path`);
  if (await isListening(socket)) throw new Error(`expected nobody to listen on ${socket}, got an answer: another daemon runs; stop it or choose another path`);
  await unlink(socket);
}

function isListening(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    const end = (listening: boolean) => {
      probe.destroy();
      resolve(listening);
    };
    probe.on("connect", () => end(true));
    // Only a refusal proves that nobody is there; a full backlog or a missing right does not.
    probe.on("error", (error: NodeJS.ErrnoException) => end(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"));
  });
}

/** Read one line, write one, close; whatever comes, within the bounds. */
function converse(connection: Socket, { request, timeMs }: Limits, reply: (line: string) => Promise<string>): void {
  const timer = setTimeout(() => connection.destroy(), timeMs);
  const chunks: Uint8Array[] = [];
  let length = 0;
  let answered = false;
  const finish = (text: string) => {
    answered = true;
    connection.end(text);
  };
  connection.on("close", () => clearTimeout(timer));
  connection.on("error", () => connection.destroy());
  connection.on("data", (chunk) => {
    // What follows the line is read and forgotten: closing with octets unread would reset the connection under the answer.
    if (answered) return;
    const end = chunk.indexOf(10);
    length += end < 0 ? chunk.length : end;
    if (length > request) return finish(`${JSON.stringify({ error: `expected a request of at most ${request} octets, got more` })}\n`);
    chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
    if (end < 0) return;
    answered = true;
    // One that cannot be answered is closed.
    reply(Buffer.concat(chunks).toString("utf8")).then(finish, () => connection.destroy());
  });
  connection.on("end", () => {
    if (!answered) connection.destroy();
  });
}

async function respond(line: string, answer: (topic: string) => unknown, topics: readonly string[]): Promise<object> {
  const error = { error: `expected {"get": TOPIC} with a TOPIC of ${topics.join(", ")}` };
  let topic: unknown;
  try {
    topic = (JSON.parse(line) as { get?: unknown } | null)?.get;
  } catch {
    return error;
  }
  return typeof topic === "string" && topics.includes(topic) ? { [topic]: await answer(topic) } : error;
}
