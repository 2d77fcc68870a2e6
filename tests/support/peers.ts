// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Real programs to test against: found, started, asked and stopped.
 *
 * Every program runs without the right to set the clock, dies with this process, and is stopped by its pid when the test file
 * ends, whether its tests passed or not. Nothing here sleeps for luck: what is awaited is looked for often, up to a deadline.
 * `npm run peers` (build/peers.sh) brings the programs; without them a suite is skipped and says so.
 *
 * @module
 */

import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { randomInt } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const UNPACKED = join(ROOT, ".cache/peers");

/** Only a failure takes this long, on a machine that is busy with other things as well. */
const DEADLINE_MS = 60_000;
const LOOK_EVERY_MS = 20;
/** …and as long as the last look took, up to this: looks that start processes would else be what the machine is busy with. */
const LOOK_LEAST_OFTEN_MS = 250;
/** What a program may take to end by itself. */
const GRACE_MS = 20_000;
/** Output kept of a program that talks for ever. */
const OUTPUT_LIMIT = 1 << 18;

// --- programs ---

/** Debian packages of programs that are not called like them. */
const PACKAGES: Record<string, string> = {
  chronyd: "chrony",
  chronyc: "chrony",
  ntpd: "ntpsec",
  ntpq: "ntpsec",
  "ntpd-classic": "classic ntp 4.2.8",
  "ntpq-classic": "classic ntp 4.2.8",
  "ntpdate": "classic ntpdate 4.2.8",
  "sntp": "classic sntp 4.2.8",
  "chronyd-new": "a newer chrony",
  "chronyc-new": "a newer chrony",
  "ntpd-new": "a newer ntpsec",
  "tshark-new": "a newer tshark",
  "ntp-daemon": "ntpd-rs",
  "ntp-ctl": "ntpd-rs",
  "redis-cli": "redis-tools",
  "cc": "build-essential",
  ntpdig: "ntpsec-ntpdig",
  ip: "iproute2",
  setpriv: "util-linux",
  nsenter: "util-linux",
  unshare: "util-linux",
};

/** The path of a program: installed, or unpacked by build/peers.sh. */
export function findProgram(name: string): string | undefined {
  const unpacked = directoriesIn(UNPACKED).flatMap((root) => [join(root, "usr/sbin"), join(root, "usr/bin")]);
  const path = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin", ...unpacked];
  return path.map((directory) => join(directory, name)).find(isExecutable);
}

function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path).map((name) => join(path, name));
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Why a suite that needs these programs must be skipped; `undefined` when it can run. `root`: they need namespaces or raw
 * sockets. With REQUIRE_PEERS=1 in the environment nothing may be skipped: a missing program is an error.
 */
export function whySkipped(programs: readonly string[], { root = false } = {}): string | undefined {
  const missing = ["setpriv", ...programs].filter((name) => findProgram(name) === undefined);
  const packages = [...new Set(missing.map((name) => PACKAGES[name] ?? name))];
  const reason =
    process.platform !== "linux" ? "skipped: the peers need Linux"
    : packages.length > 0 ? `skipped: ${packages.join(", ")} not installed (npm run peers)`
    : root && process.getuid?.() !== 0 ? "skipped: needs root"
    : undefined;
  if (reason === undefined) return undefined;
  if (process.env["REQUIRE_PEERS"] === "1") throw new Error(`REQUIRE_PEERS=1, but ${reason}`);
  console.warn(`${reason.toUpperCase()}`);
  return reason;
}

/** A suite's title, with the reason why it is skipped where it is. */
export function titled(title: string, reason: string | undefined): string {
  return reason === undefined ? title : `${title} [${reason}]`;
}

// --- processes ---

export interface StartOptions {
  /** Runs inside this network namespace. */
  readonly namespace?: Namespace;
  readonly env?: Record<string, string>;
  /** Directories to remove once the process has ended. */
  readonly owns?: readonly string[];
}

/** How a program ended and what it said. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<Peer>();
afterAll(async () => {
  await Promise.all([...running].map((peer) => peer.stop()));
});

/** A running program. */
export class Peer {
  readonly name: string;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";
  #over = false;

  constructor(program: string, args: readonly string[], options: StartOptions = {}) {
    this.name = program;
    const [command, ...rest] = [...(options.namespace?.enter ?? []), ...withoutClock(), located(program), ...args] as [string, ...string[]];
    // A pipe as standard input tells some programs, by its end, that we are gone.
    this.#child = spawn(command, rest, { env: { ...process.env, LC_ALL: "C", ...options.env }, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout?.on("data", (data) => (this.#stdout = (this.#stdout + String(data)).slice(-OUTPUT_LIMIT)));
    this.#child.stderr?.on("data", (data) => (this.#stderr = (this.#stderr + String(data)).slice(-OUTPUT_LIMIT)));
    running.add(this);
    this.ended = new Promise((resolve) => {
      const end = (status: number | null) => {
        this.#over = true;
        running.delete(this);
        for (const directory of options.owns ?? []) rmSync(directory, { recursive: true, force: true });
        resolve({ status, stdout: this.#stdout, stderr: this.#stderr });
      };
      this.#child.on("error", (error) => {
        this.#stderr += String(error);
        end(null);
      });
      this.#child.on("close", end);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** Give it text as if typed by somebody. */
  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  get over(): boolean {
    return this.#over;
  }

  /** All it has said, for messages. */
  get said(): string {
    return `${this.name} said:\n${this.#stdout}${this.#stderr}`;
  }

  /** SIGTERM, and SIGKILL when that does not help. Resolves once it has ended. Idempotent. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    if (!this.#over) this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), GRACE_MS);
    const ended = await this.ended;
    clearTimeout(timer);
    return ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** A prefix that takes CAP_SYS_TIME away for good and ends the program when this process ends. */
function withoutClock(): string[] {
  const drop = process.getuid?.() === 0 ? ["--bounding-set=-sys_time", "--inh-caps=-sys_time"] : [];
  return [located("setpriv"), "--pdeathsig", "KILL", ...drop, "--"];
}

function located(program: string): string {
  if (program.includes("/")) return program;
  const path = findProgram(program);
  if (path === undefined) throw new Error(`expected ${program} to be installed: npm run peers`);
  return path;
}

/** Run a program to its end; an error, with what it said, when it takes longer than `timeoutMs`. */
export async function run(program: string, args: readonly string[], options: StartOptions & { timeoutMs?: number } = {}): Promise<Ended> {
  const peer = new Peer(program, args, options);
  const { timeoutMs = DEADLINE_MS } = options;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void peer.stop("SIGKILL");
  }, timeoutMs);
  const ended = await peer.ended;
  clearTimeout(timer);
  if (late) throw new Error(`expected ${program} ${args.join(" ")} to end within ${timeoutMs} ms; ${peer.said}`);
  return ended;
}

/** Run the `escapement` command as it is installed: what the build made. */
export function escapement(args: readonly string[], options: StartOptions & { timeoutMs?: number } = {}): Promise<Ended> {
  return run(process.execPath, [COMMAND, ...args], options);
}

/** The built command. */
export const COMMAND = join(ROOT, "dist/cli/main.js");

// --- waiting ---

/**
 * What `look` gives once it gives something. Looks often, until the deadline; then the error says `what` was expected and,
 * through `context`, what there was instead; `limitMs` for programs that take their time. Errors of `look` count as "not yet".
 */
export async function eventually<T>(what: string, look: () => Promise<T | undefined> | T | undefined, context?: Peer, limitMs = DEADLINE_MS): Promise<T> {
  const deadline = performance.now() + limitMs;
  let last: unknown;
  while (performance.now() < deadline && !context?.over) {
    const began = performance.now();
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    const pause = Math.min(Math.max(performance.now() - began, LOOK_EVERY_MS), LOOK_LEAST_OFTEN_MS);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  const why = context?.over ? `${context.name} has ended` : `it did not come within ${limitMs} ms`;
  throw new Error(`expected ${what}, but ${why}; ${context?.said ?? ""}`, { cause: last });
}

/** {@link eventually} for a peer that has just been started: when it does not get ready it is stopped. */
export async function untilReady<T>(what: string, look: () => Promise<T | undefined> | T | undefined, peer: Peer): Promise<T> {
  try {
    return await eventually(what, look, peer);
  } catch (error) {
    await peer.stop();
    throw error;
  }
}

// --- places ---

/** A fresh directory that only we can read. Whoever starts a peer in it lets the peer own it. */
export function freshDirectory(): string {
  return mkdtempSync(join(tmpdir(), "escapement-"));
}

/** Write `lines` to a new file that only we can read, and return its path. */
export function writeLines(directory: string, name: string, lines: readonly string[]): string {
  const path = join(directory, name);
  writeFileSync(path, `${lines.join("\n")}\n`, { mode: 0o600 });
  return path;
}

/** An address of this machine that no other test uses. Linux answers on all of 127.0.0.0/8 without set-up. */
export function loopbackAlias(): string {
  return `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
}

/** A UDP port that is free on all `addresses`, below those that the kernel gives to clients. */
export async function freePort(...addresses: string[]): Promise<number> {
  return eventually("a free port", async () => {
    const port = randomInt(20_000, 32_000);
    for (const address of addresses) if (!(await isFree(address, port))) return undefined;
    return port;
  });
}

/** A TCP port that is free at `address`, below those that the kernel gives to clients. */
export function freeTcpPort(address: string): Promise<number> {
  return eventually("a free TCP port", () => {
    const port = randomInt(20_000, 32_000);
    const server = createServer();
    return new Promise<number | undefined>((resolve) => {
      server.once("error", () => resolve(undefined));
      server.listen({ port, host: address, exclusive: true }, () => server.close(() => resolve(port)));
    });
  });
}

function isFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}

/** Whether this machine has IPv6 on its loopback interface. */
export function hasIPv6(): Promise<boolean> {
  return isFree("::1", 0);
}

// --- network namespaces ---

/** A network of its own, for programs that insist on port 123. It is gone when its last process is. */
export class Namespace {
  readonly #holder: Peer;
  /** What to put before a command for it to run inside. */
  readonly enter: readonly string[];

  private constructor(holder: Peer) {
    this.#holder = holder;
    this.enter = [located("nsenter"), `--net=/proc/${holder.pid}/ns/net`, "--"];
  }

  static async open(): Promise<Namespace> {
    // The holder waits for the end of its standard input, which comes when this process ends.
    const holder = new Peer("unshare", ["--net", "--", "sh", "-c", "ip link set lo up && echo ready && exec cat"]);
    await eventually("a network namespace", () => holder.stdout.includes("ready") || undefined, holder);
    return new Namespace(holder);
  }

  /** Connect two namespaces by a cable with an address at either end. */
  static async connect(a: Namespace, b: Namespace, [here, there]: readonly [string, string]): Promise<void> {
    await a.#ip("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", String(b.#holder.pid));
    await a.#ip("address", "add", `${here}/24`, "dev", "cable");
    await b.#ip("address", "add", `${there}/24`, "dev", "cable");
    await a.#ip("link", "set", "cable", "up");
    await b.#ip("link", "set", "cable", "up");
  }

  async #ip(...args: string[]): Promise<void> {
    const { status, stderr } = await run("ip", args, { namespace: this });
    if (status !== 0) throw new Error(`expected "ip ${args.join(" ")}" to succeed: ${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stop();
  }
}
