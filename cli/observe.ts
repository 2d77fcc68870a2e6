// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What `tracking`, `sources` and `sourcestats` have in common: the question to the daemon's observation socket, and
 * numbers in the manner of chronyc's.
 *
 * @module
 */

import { connect } from "node:net";
import { DEFAULT_SOCKET } from "../daemon/config.ts";
import { command, onlyOptions, type Command } from "./usage.ts";

export const OBSERVE_HELP = `  --socket PATH  where the daemon listens (default ${DEFAULT_SOCKET})
  --json         print one JSON document instead
  --help         this text`;

const TIMEOUT_MS = 5000;
/** 64 sources fit many times over. */
const MOST_OCTETS = 1 << 20;

/** One of the reports: its name in the protocol, its help, and how it is shown to people. */
export interface ReportCommand<T> {
  readonly topic: string;
  readonly help: string;
  readonly show: (report: T, options: { verbose: boolean }) => string;
}

const OPTIONS = { socket: { type: "string" }, json: { type: "boolean" }, verbose: { type: "boolean", short: "v" } } as const;

export function reportCommand<T>({ topic, help, show }: ReportCommand<T>): Command {
  return command(help, OPTIONS, async ({ values, positionals }) => {
    onlyOptions(topic, positionals);
    const report = (await ask(values.socket ?? DEFAULT_SOCKET, topic)) as T;
    console.log(values.json ? JSON.stringify(report) : show(report, { verbose: values.verbose ?? false }));
    return 0;
  });
}

/** What the daemon at `socket` says about `topic`. */
export async function ask(socket: string, topic: string): Promise<unknown> {
  const text = await exchange(socket, `${JSON.stringify({ get: topic })}\n`).catch((cause: NodeJS.ErrnoException) => {
    const hint = cause.code === "EACCES" ? "you may not read it; ask as root or as a member of its group" : "is the daemon running, and its observe.socket there? --socket names another";
    throw new Error(`expected a daemon to answer on ${socket}: ${cause.message}; ${hint}`, { cause });
  });
  const answer = readAnswer(text);
  if (answer?.[topic] === undefined || answer[topic] === null) throw new Error(`expected ${topic} from ${socket}, got ${typeof answer?.["error"] === "string" ? answer["error"] : "something else"}; is it escapement's, and of this version?`);
  return answer[topic];
}

function readAnswer(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function exchange(socket: string, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket, () => connection.write(question));
    const chunks: Uint8Array[] = [];
    let octets = 0;
    const fail = (error: Error) => {
      clearTimeout(timer);
      connection.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
    connection.on("error", fail);
    connection.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk);
      octets += chunk.length;
      if (octets > MOST_OCTETS) fail(new Error(`more than ${MOST_OCTETS} octets`));
    });
    connection.on("end", () => {
      clearTimeout(timer);
      connection.destroy();
      resolve(Buffer.concat(chunks).toString("utf8"));
    });
  });
}

// --- chronyc's ways with numbers ---

export { age, signed } from "../daemon/numbers.ts";

/** Seconds in six places, with the unit that leaves most digits: "-12us", "+923ms"; "-" for what is not known. */
export function brief(seconds: number | null, { sign = true }: { sign?: boolean } = {}): string {
  if (seconds === null) return "-";
  const size = Math.abs(seconds);
  const [factor, unit] = size < 9999.5e-9 ? [1e9, "ns"] : size < 9999.5e-6 ? [1e6, "us"] : size < 9999.5e-3 ? [1e3, "ms"] : [1, "s"];
  return `${seconds < 0 ? "-" : sign ? "+" : ""}${Math.round(size * factor)}${unit}`;
}
