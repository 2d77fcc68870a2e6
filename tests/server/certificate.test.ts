// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's certificate renewed on disk while it serves: new connections see the new one, cookies of before open as ever, and
 * files that do not fit together change nothing and are told of. Through `serve()` and through the command.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { establishKeys } from "../../hosts/common/nts/client.ts";
import { startServe } from "../interop/ask.ts";
import { ntsRequest, readAnswer } from "../support/nts.ts";
import { eventually, freshDirectory } from "../support/peers.ts";
import { issue, makeCa } from "../support/pki.ts";
import { Asker, built, lacking, until } from "./built.ts";

const HERE = "127.0.0.1";
/** Files are looked at every five seconds. */
const NOTICED_MS = 60_000;
const ca = makeCa();

let directory: string;
let files: { certificate: string; key: string };
beforeEach(() => {
  directory = freshDirectory();
  files = { certificate: join(directory, "cert.pem"), key: join(directory, "key.pem") };
  put("first");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Put a new certificate in place, the key first or last as programs happen to do. */
function put(name: string): void {
  const { certificate, key } = issue(ca, { name, ips: [HERE] });
  writeFileSync(files.key, key);
  writeFileSync(files.certificate, certificate);
}

/** The name in the certificate that a new connection is shown. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: HERE, port, ca: ca.certificate, ALPNProtocols: ["ntske/1"] }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

/** The same for both ways to serve: where it is, and what it has said of trouble. */
async function renewed({ port, kePort, said }: { port: number; kePort: number; said: () => string }): Promise<void> {
  expect(await shown(kePort)).toBe("first");
  const { aead, c2s, s2c, cookies } = await establishKeys(await built.lendHost(), { host: HERE, kePort, ca: ca.certificate, aeads: [15], pq: "off" });
  const next = cookies.values();
  const cookieHolds = async () => {
    await using asker = await new Asker().ready();
    await asker.send(ntsRequest({ aead, c2s, s2c }, { cookie: next.next().value!, transmitTime: 1n }), port);
    await until("an answer to an old cookie", () => asker.replies.length === 1);
    expect(readAnswer({ aead, c2s, s2c }, Uint8Array.from(asker.replies[0]!.data)).cookies.length).toBeGreaterThan(0);
  };
  const becomes = (name: string) => eventually(`the certificate ${name}`, async () => {
    // Seldom: a server of keys is not to be asked more often by one address.
    await new Promise((resolve) => setTimeout(resolve, 400));
    return (await shown(kePort)) === name || undefined;
  });

  put("second");
  await becomes("second");
  await cookieHolds();

  // A certificate without its key: the pair of before goes on, and that is told.
  writeFileSync(files.certificate, issue(ca, { name: "third", ips: [HERE] }).certificate);
  await until("the complaint", () => said().includes("certificate"), NOTICED_MS);
  expect(await shown(kePort)).toBe("second");
  await cookieHolds();

  put("fourth");
  await becomes("fourth");
  await cookieHolds();
}

describe.skipIf(lacking !== undefined)("a certificate renewed on disk", () => {
  it("is used by serve() from the next connection on", async () => {
    const events: string[] = [];
    await using server = await built.serve({ listen: [HERE], port: 0, stratum: 2, nts: { certificateFiles: files, port: 0 }, onEvent: (event) => events.push(event.kind) });
    await renewed({ port: server.addresses[0]!.port, kePort: server.nts!.addresses[0]!.port, said: () => events.join() });
    expect(new Set(events)).toEqual(new Set(["certificate-failed"]));
  });

  it("is used by the command from the next connection on", async () => {
    await using server = await startServe(["--listen", `${HERE}:0`, "--stratum", "2", "--nts-cert", files.certificate, "--nts-key", files.key, "--nts-listen", `${HERE}:0`]);
    const told = JSON.parse(server.stdout.split("\n")[0]!) as { addresses: [{ port: number }]; nts: [{ port: number }] };
    await renewed({ port: told.addresses[0].port, kePort: told.nts[0].port, said: () => server.said });
    expect(server.said).toContain("the certificate could not be renewed, the old one goes on");
  });
});
