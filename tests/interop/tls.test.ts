// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Our TLS client with real servers: this Node's, those of Node 22 to 26, Bun and Deno, OpenSSL, and chronyd's NTS-KE; and
 * our client on each of those runtimes. Where the other side can tell its exported keys, they must be ours.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { userInfo } from "node:os";
import tls from "node:tls";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { concat } from "../../hosts/common/tls/codec.ts";
import { connectTls, type TlsOptions } from "../../hosts/common/tls/connect.ts";
import type { ByteStream } from "../../hosts/common/stream.ts";
import { connectTcp } from "../../hosts/node/tcp.ts";
import { eventually, freePort, freshDirectory, Peer, titled, whySkipped, writeLines } from "../support/peers.ts";
import { issue, type Issued, type KeyAlgorithm, makeCa } from "../support/pki.ts";
import type { ClientReport } from "./tls-client.ts";

const NAME = "ntp.example";
const ca = makeCa();
const middle = issue(ca, { ca: 0 });
const leaf = issue(middle, { dns: [NAME], ips: ["127.0.0.1"] });
const CHAIN = leaf.certificate + middle.certificate;
const LABEL = "EXPORTER-network-time-security";
const CONTEXT = Uint8Array.of(0, 0, 0, 15, 0);
const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");

async function connect(port: number, options: Partial<TlsOptions> = {}, through = (tcp: ByteStream) => tcp) {
  const signal = AbortSignal.timeout(120_000);
  const tcp = through(await connectTcp({ address: "127.0.0.1", port }, signal));
  const all: TlsOptions = { serverName: NAME, alpn: ["ntske/1"], ca: ca.certificate, pq: "prefer", signal, ...options };
  return connectTls(tcp, all, (bytes) => crypto.getRandomValues(bytes), Date.now);
}

/** The next line of JSON that a server prints, after `seen` others; those of connections that failed are passed over. */
const line = (peer: Peer, seen: number) =>
  eventually("a line", () => peer.stdout.split("\n").slice(0, -1).filter((text) => !text.includes('"error"'))[seen], peer).then((text) => JSON.parse(text) as Record<string, string | number>);

describe("node:tls of this Node", () => {
  async function exchange(options: tls.TlsOptions, ours: Partial<TlsOptions> = {}): Promise<{ group: string | undefined; cipher: string | undefined }> {
    let told = "";
    const server = tls.createServer({ cert: CHAIN, key: leaf.key, ALPNProtocols: ["ntske/1"], minVersion: "TLSv1.3", ...options }, (socket) => {
      told = hex(socket.exportKeyingMaterial(64, LABEL, Buffer.from(CONTEXT)));
      socket.once("data", (data) => socket.end(data));
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    try {
      const stream = await connect((server.address() as AddressInfo).port, ours);
      await stream.write(Uint8Array.of(1, 2, 3));
      expect(await stream.read()).toEqual(Uint8Array.of(1, 2, 3));
      expect(await stream.read()).toBeUndefined();
      expect(hex(await stream.exportKey(LABEL, CONTEXT, 64))).toBe(told);
      stream.close();
      return stream;
    } finally {
      server.close();
    }
  }

  test.each(["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])("agrees on %s", async (ciphers) => {
    expect(await exchange({ ciphers })).toMatchObject({ cipher: ciphers });
  });

  test("agrees on P-256 after a HelloRetryRequest", async () => {
    expect(await exchange({ ecdhCurve: "P-256" })).toMatchObject({ group: "P-256" });
  });

  test.each<KeyAlgorithm>(["p256", "p384", "ed25519", "rsa2048"])("shows a %s certificate", async (algorithm) => {
    const own: Issued = issue(middle, { dns: [NAME], algorithm });
    await exchange({ cert: own.certificate + middle.certificate, key: own.key });
  });

  test("asks for a certificate, and gets none", async () => {
    await exchange({ requestCert: true, rejectUnauthorized: false, ca: ca.certificate });
  });

  test("is refused over TLS 1.2, with another protocol, and for another name, and says so on its side", async () => {
    await expect(exchange({ minVersion: "TLSv1.2", maxVersion: "TLSv1.2" })).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("protocol_version") });
    await expect(exchange({ ALPNProtocols: ["h2"] })).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("no_application_protocol") });
    await expect(exchange({}, { serverName: "other.example" })).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("other.example") });
    await expect(exchange({}, { ca: makeCa().certificate })).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("unknown issuer") });
  });
});

/** Runtimes of tests/runtimes, each as a command. */
const RUNTIMES = [
  { name: "Node 22", host: "node", command: "node-22/bin/node", flags: [] },
  { name: "Node 24", host: "node", command: "node-24/bin/node", flags: [] },
  { name: "Node 26", host: "node", command: "node-26/bin/node", flags: [] },
  { name: "Deno", host: "deno", command: "@deno/linux-x64-glibc/deno", flags: ["run", "--allow-all", "--no-prompt"] },
  { name: "Bun", host: "bun", command: "@oven/bun-linux-x64-baseline/bin/bun", flags: ["run"] },
].map((runtime) => ({ ...runtime, command: resolve("tests/runtimes/node_modules", runtime.command) }));
const hasRuntimes = process.platform === "linux" && RUNTIMES.every(({ command }) => existsSync(command));
const noRuntimes = hasRuntimes ? whySkipped([]) : "skipped: no runtimes in tests/runtimes (npm ships them for Linux on x64)";

function startServer(command: string, flags: readonly string[], options: object = {}): Peer {
  const directory = freshDirectory();
  const [certificate, key] = [writeLines(directory, "cert.pem", [CHAIN]), writeLines(directory, "key.pem", [leaf.key])];
  return new Peer(command, [...flags, resolve("tests/interop/tls-server.mjs"), certificate, key, JSON.stringify(options)], { owns: [directory] });
}

describe.skipIf(noRuntimes)(titled("servers of other runtimes", noRuntimes), () => {
  test.each(RUNTIMES)("$name: the same keys, over ML-KEM and without", async ({ name, command, flags }) => {
    await using server = startServer(command, flags);
    const { port } = await line(server, 0);
    for (const [seen, pq] of (["require", "off"] as const).entries()) {
      const stream = await connect(Number(port), { pq });
      await stream.write(Uint8Array.of(7));
      expect(await stream.read()).toEqual(Uint8Array.of(7));
      expect(stream.group).toBe(pq === "off" ? "X25519" : "X25519MLKEM768");
      const told = await line(server, seen + 1);
      if (name !== "Deno") expect(told).toMatchObject({ alpn: "ntske/1", key: hex(await stream.exportKey(LABEL, CONTEXT, 64)) });
      stream.close();
    }
  });

  test("Node 24 asked for ML-KEM by a HelloRetryRequest refuses nothing that we can do", async () => {
    await using server = startServer(RUNTIMES[1]!.command, [], { ecdhCurve: "P-256" });
    const { port } = await line(server, 0);
    expect((await connect(Number(port))).group).toBe("P-256");
    await expect(connect(Number(port), { pq: "require" })).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("handshake_failure") });
  });
});

describe.skipIf(noRuntimes)(titled("our client on other runtimes", noRuntimes), () => {
  const here = { name: "this Node", host: "node", command: process.execPath, flags: [] as string[] };

  test.each([here, ...RUNTIMES])("$name: the same keys as the server's", async ({ host, command, flags }) => {
    const directory = freshDirectory();
    const file = join(directory, "client.mjs");
    await build({
      stdin: {
        contents: `import type { ByteStream } from "../../hosts/common/stream.ts";
import { connectTcp } from "./hosts/${host}/tcp.ts"; import { client } from "./tests/interop/tls-client.ts"; import process from "node:process";
          console.log(JSON.stringify(await client(connectTcp, JSON.parse(process.argv[2]))));`,
        resolveDir: resolve("."),
        loader: "ts",
      },
      outfile: file,
      bundle: true,
      format: "esm",
      platform: "neutral",
      target: "es2022",
      external: ["node:*"],
      tsconfigRaw: "{}",
    });
    await using server = startServer(RUNTIMES[1]!.command, []);
    const { port } = await line(server, 0);
    for (const [seen, pq] of (["require", "off"] as const).entries()) {
      const run = new Peer(command, [...flags, file, JSON.stringify({ port, ca: ca.certificate, pq })], seen === 1 ? { owns: [directory] } : {});
      const { status, stdout, stderr } = await run.ended;
      expect([status, stderr]).toEqual([0, expect.any(String)]);
      const report = JSON.parse(stdout) as ClientReport;
      expect(report).toMatchObject({ alpn: "ntske/1", group: pq === "off" ? "X25519" : "X25519MLKEM768", echo: "over and out", refused: "UNREACHABLE", aborted: "ABORTED", closed: "undefined" });
      expect(await line(server, seen + 1)).toMatchObject({ key: report.key, cipher: report.cipher });
    }
  });
});

const noOpenssl = whySkipped(["openssl"]);
describe.skipIf(noOpenssl)(titled("openssl s_server", noOpenssl), () => {
  async function start(...args: string[]): Promise<{ server: Peer; port: number }> {
    const directory = freshDirectory();
    const files = ["-cert", writeLines(directory, "leaf.pem", [leaf.certificate]), "-cert_chain", writeLines(directory, "chain.pem", [middle.certificate]), "-key", writeLines(directory, "key.pem", [leaf.key])];
    const port = await freePort("127.0.0.1");
    const server = new Peer("openssl", ["s_server", "-accept", `127.0.0.1:${port}`, "-tls1_3", "-alpn", "ntske/1", ...files, ...args], { owns: [directory] });
    await eventually("openssl to listen", () => server.stdout.includes("ACCEPT") || undefined, server);
    return { server, port };
  }

  const suites = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
  const cases = suites.flatMap((suite) => ["X25519", "P-256"].map((group) => [suite, group] as const));
  test.each(cases)("%s over %s, with the same exported keys", async (suite, group) => {
    const { server, port } = await start("-ciphersuites", suite, "-groups", group, "-keymatexport", LABEL, "-keymatexportlen", "32");
    const stream = await connect(port);
    expect(stream).toMatchObject({ cipher: suite, group, alpn: "ntske/1" });
    const told = await eventually("the exported keys", () => /Keying material: ([0-9A-F]{64})/.exec(server.stdout)?.[1], server);
    // s_server gives no context, which in TLS 1.3 is the same as an empty one.
    expect(hex(await stream.exportKey(LABEL, new Uint8Array(), 32)).toUpperCase()).toBe(told);
    stream.close();
    await server.stop();
  });

  test("a cookie in a HelloRetryRequest", async () => {
    const { server, port } = await start("-stateless");
    // OpenSSL 3.0's stateless server refuses change_cipher_spec, even from its own client: ours is taken out on its way.
    const stream = await connect(port, {}, (tcp) => ({ read: () => tcp.read(), close: () => tcp.close(), write: async (data) => void (data[0] === 20 || (await tcp.write(data))) }));
    expect(stream.group).toBe("X25519");
    stream.close();
    await server.stop();
  });

  test("new keys on both sides", async () => {
    const { server, port } = await start("-msg");
    const stream = await connect(port);
    await stream.write(new TextEncoder().encode("before\n"));
    await eventually("our first line", () => server.stdout.includes("before") || undefined, server);
    // K: a KeyUpdate that wants ours, too.
    server.type("K\n");
    await eventually("its KeyUpdate", () => server.stdout.includes(", KeyUpdate") || undefined, server);
    server.type("answer\n");
    let answer = "";
    while (!answer.includes("answer")) answer += new TextDecoder().decode(await stream.read());
    await stream.write(new TextEncoder().encode("afterwards\n"));
    await eventually("our second line", () => server.stdout.includes("afterwards") || undefined, server);
    stream.close();
    await server.stop();
  });

  test("asks for a certificate, and is content with none", async () => {
    const { server, port } = await start("-verify", "1", "-rev");
    const stream = await connect(port);
    await stream.write(new TextEncoder().encode("abc\n"));
    expect(new TextDecoder().decode(await stream.read())).toContain("cba");
    stream.close();
    await server.stop();
  });
});

const noChrony = whySkipped(["chronyd"]);
describe.skipIf(noChrony)(titled("chronyd's NTS-KE", noChrony), () => {
  test("gives eight cookies for a request", async () => {
    const directory = freshDirectory();
    const [ntp, ke] = [await freePort("127.0.0.1"), await freePort("127.0.0.1")];
    const [certificate, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    writeFileSync(certificate, CHAIN, { mode: 0o600 });
    writeFileSync(key, leaf.key, { mode: 0o600 });
    const places = ["cmdport 0", `bindcmdaddress ${join(directory, "sock")}`, `pidfile ${join(directory, "pid")}`, `ntsdumpdir ${directory}`];
    const lines = [`port ${ntp}`, "bindaddress 127.0.0.1", `ntsport ${ke}`, `ntsservercert ${certificate}`, `ntsserverkey ${key}`, "allow", "local stratum 1"];
    const conf = writeLines(directory, "chrony.conf", [...lines, ...places]);
    await using chronyd = new Peer("chronyd", ["-x", "-d", "-U", "-u", userInfo().username, "-f", conf], { owns: [directory] });
    const stream = await eventually("chronyd to listen", () => connect(ke), chronyd);
    // Next Protocol: NTPv4; AEAD: AES-SIV-CMAC-256; End of Message. All critical.
    await stream.write(Uint8Array.of(0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 2, 0, 15, 0x80, 0, 0, 0));
    const types: number[] = [];
    let answer = new Uint8Array();
    while (types.at(-1) !== 0) {
      answer = concat(answer, (await stream.read()) ?? new Uint8Array()) as Uint8Array<ArrayBuffer>;
      for (let length = 4; answer.length >= 4; answer = answer.subarray(length)) {
        length = 4 + (answer[2] ?? 0) * 256 + (answer[3] ?? 0);
        if (answer.length < length) break;
        types.push((((answer[0] ?? 0) & 0x7f) << 8) | (answer[1] ?? 0));
      }
    }
    expect(types.filter((type) => type === 5)).toHaveLength(8);
    expect(types).toEqual(expect.arrayContaining([1, 4]));
    expect(await stream.exportKey(LABEL, CONTEXT, 32)).toHaveLength(32);
    stream.close();
  });
});
