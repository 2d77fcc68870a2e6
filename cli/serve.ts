// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement serve`: an NTP server in the foreground, until SIGINT or SIGTERM.
 * Tested in command.test.ts and tests/server/process.test.ts.
 *
 * @module
 */

import { serve, type BroadcastOptions, type ServeOptions, type Server, type ServerEvent } from "#host";
import { formatEndpoint } from "../hosts/common/address.ts";
import { LeapFile } from "../daemon/leaps.ts";
import { cardOptions } from "./cards.ts";
import { onHangup, stopSignal } from "./foreground.ts";
import { warn } from "./output.ts";
import { followLeaps, leapsNow } from "./serve-leaps.ts";
import { FEATURES, FEATURES_HELP, featureOptions, keysOf } from "./serve-options.ts";
import { roughtimeOptions, startRoughtime, whereText, type RunningRoughtime } from "./serve-roughtime.ts";
import { UsageError, command, defined, listenOption, metricsOption, needStratum, numberOption, onlyOptions, type Values } from "./usage.ts";

const HELP = `usage: escapement serve [OPTION...]

Answer NTP requests with this host's clock. Without --stratum it says that it is not synchronised.

  --listen A:P       address and port, may be repeated with one port; ":P" for all addresses (default :123)
  --stratum N        1..15: say that this host's clock is right, N steps from a reference clock
  --refid TEXT       what it is synchronised to: four letters at stratum 1, an IPv4 address above
  --root-delay S     seconds to the reference clock and back (default 0)
  --root-dispersion S  error of this host's clock, seconds (default 0.01)
  --workers N        threads that answer, 0..64; 0: the main one (default 1)
  --interface NAME   hear and answer on this network interface only
  --hardware-timestamps IF
                     let this network card stamp (switched on for everybody); may be repeated; "*": all that can
  --dscp N           differentiated services code point of the answers, 0..63
  --broadcast SPEC   say the time unasked: ADDRESS[,interval=S][,ttl=N][,interface=NAME][,port=P]; may be repeated
${FEATURES_HELP}
  --metrics A:P      tell the counters over HTTP, OpenMetrics at /metrics; ":P" for loopback
  --user NAME        become this user once the sockets are bound
  --portable         use the runtime's own sockets, not the kernel's batches and time stamps
  --kiss CODE        answer everybody with this kiss code, for instance DENY
  --roughtime A:P    answer Roughtime there, too, UDP and TCP; needs --stratum and --roughtime-key
  --roughtime-key F  delegations made by "escapement roughtime-key delegate"; read anew on SIGHUP and every hour
  --roughtime-grease X  fraction of answers that are wrong on purpose, 0..0.5 (default 1/256; RFC 10049 §7)
  --json             print the addresses, and at the end the counters, as JSON
  --help             this text`;

const OPTIONS = {
  listen: { type: "string", multiple: true },
  stratum: { type: "string" },
  refid: { type: "string" },
  "root-delay": { type: "string" },
  "root-dispersion": { type: "string" },
  workers: { type: "string" },
  interface: { type: "string" },
  dscp: { type: "string" },
  "hardware-timestamps": { type: "string", multiple: true },
  broadcast: { type: "string", multiple: true },
  metrics: { type: "string" },
  user: { type: "string" },
  portable: { type: "boolean" },
  ...FEATURES,
  kiss: { type: "string" },
  roughtime: { type: "string" },
  "roughtime-key": { type: "string" },
  "roughtime-grease": { type: "string" },
  "leap-file": { type: "string" },
  json: { type: "boolean" },
} as const;

type Given = Values<typeof OPTIONS>;

export const run = command(HELP, OPTIONS, async ({ values, positionals }) => {
  onlyOptions("serve", positionals);
  needStratum("serve", values);
  const roughtime = roughtimeOptions(values);
  const leaps = values["leap-file"] === undefined ? undefined : await LeapFile.open(values["leap-file"], warn);
  const state = stateOptions(values);
  const features = await featureOptions(values);
  const server = await serve({
    ...listening(values.listen ?? [":123"]),
    ...state,
    ...(leaps && leapsNow(leaps)),
    ...wayOptions(values),
    ...features,
    onEvent: (event) => warn(eventText(event)),
  });
  const rough = roughtime && (await startRoughtime(roughtime).catch(async (error: unknown) => {
    // Its sockets would keep the process alive.
    await server.close();
    throw error;
  }));
  const { keys, json = false } = values;
  const forgetKeys = keys === undefined ? undefined : renewKeys(server, keys);
  const forgetLeaps = leaps && followLeaps(server, leaps, { ...state, ...defined({ ut1Offset: features.ut1Offset }) });
  const stopped = stopSignal();
  announce(server, rough, { json, stratum: values.stratum });
  await stopped;
  forgetKeys?.();
  forgetLeaps?.();
  rough?.stop();
  await Promise.all([server.close(), rough?.server.close()]);
  if (json) console.log(JSON.stringify({ stats: server.stats, counters: server.counters, ...(rough ? { roughtime: rough.server.stats } : {}) }));
  return 0;
});

/** What the answers say of this host's clock. */
function stateOptions(values: Given) {
  return defined({
    stratum: numberOption("stratum", values.stratum, { min: 1, max: 15, integer: true }),
    rootDelay: numberOption("root-delay", values["root-delay"], { min: 0, max: 15 }),
    rootDispersion: numberOption("root-dispersion", values["root-dispersion"], { min: 0, max: 15 }),
    refid: values.refid,
  });
}

/** By what means they are sent. */
function wayOptions(values: Given) {
  return {
    ...defined({
      workers: numberOption("workers", values.workers, { min: 0, max: 64, integer: true }),
      dscp: numberOption("dscp", values.dscp, { min: 0, max: 63, integer: true }),
      broadcast: values.broadcast?.map(broadcastOption),
      metrics: values.metrics === undefined ? undefined : metricsOption(values.metrics),
      interface: values.interface,
      user: values.user,
      portable: values.portable,
      kiss: values.kiss,
    }),
    ...cardOptions(values["hardware-timestamps"]),
  };
}

function listening(texts: readonly string[]): ServeOptions {
  const parsed = texts.map((text) => listenOption("listen", text));
  const port = parsed[0]?.port ?? 123;
  if (parsed.some((other) => other.port !== port)) throw new UsageError("--listen: expected one port for all addresses");
  const addresses = parsed.flatMap(({ address }) => (address === undefined ? [] : [address]));
  // ":P" means all addresses, beside which any other is one of them.
  return addresses.length === parsed.length ? { listen: addresses, port } : { port };
}

/** @throws {UsageError} */
export function broadcastOption(text: string): BroadcastOptions {
  const [address = "", ...members] = text.split(",");
  const known = { interval: { min: 1, max: 131072 }, ttl: { min: 1, max: 255, integer: true }, port: { min: 1, max: 65535, integer: true } };
  if (address === "" || address.includes("=")) throw new UsageError(`--broadcast: expected ADDRESS[,interval=S][,ttl=N][,interface=NAME][,port=P], got "${text}"`);
  const options: Record<string, string | number> = {};
  for (const member of members) {
    const [name = "", value = ""] = member.split(/=(.*)/s);
    if (name === "interface" && value !== "") options[name] = value;
    else if (Object.hasOwn(known, name)) options[name] = numberOption(`broadcast ${name}`, value, known[name as keyof typeof known])!;
    else throw new UsageError(`--broadcast: expected interval=S, ttl=N, interface=NAME or port=P, got "${member}"`);
  }
  return { address, ...options };
}

/** A fault in the new file must not end a server that has good keys. */
function renewKeys(server: Server, file: string): () => void {
  return onHangup(() => void keysOf(file).then((keys) => server.configure({ keys })).catch((error: unknown) => warn((error as Error).message)));
}

function eventText(event: ServerEvent): string {
  if (event.kind === "keys-failed") return `the cookie keys could not be renewed, the old ones go on: ${event.message}`;
  if (event.kind === "certificate-failed") return `the certificate could not be renewed, the old one goes on: ${event.message}`;
  return event.kind === "thread-failed" ? `a server thread failed and will be started again in ${event.restartMs} ms: ${event.message}` : "a server thread was started again";
}

function announce({ addresses, metrics, nts }: Server, rough: RunningRoughtime | undefined, { json, stratum }: { json: boolean; stratum: string | undefined }): void {
  if (json) return console.log(JSON.stringify({ addresses, ...(metrics && { metrics }), ...(nts && { nts: nts.addresses }), ...(rough ? { roughtime: rough.server.addresses } : {}) }));
  if (rough) console.log(`Answering Roughtime on ${whereText(rough.server)}.`);
  if (nts) console.log(`Establishing NTS keys on ${placesText(nts.addresses)}.`);
  const where = placesText(addresses);
  console.log(`Answering on ${where}, ${stratum ? `stratum ${stratum}` : "not synchronised (say --stratum to vouch for this clock)"}. Stop with Ctrl-C.`);
}

function placesText(places: Server["addresses"]): string {
  return places.map(formatEndpoint).join(" and ");
}
