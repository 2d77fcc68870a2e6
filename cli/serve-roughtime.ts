// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The Roughtime half of `escapement serve`: its options, its keys, and reading them anew. Tested in roughtime.test.ts.
 *
 * @module
 */

import { lendHost } from "#host";
import { formatEndpoint } from "../hosts/common/address.ts";
import { serveRoughtime, type RoughtimeServer } from "../hosts/common/roughtime/server.ts";
import { readServerKeys } from "../daemon/secrets.ts";
import { onHangup } from "./foreground.ts";
import { warn } from "./output.ts";
import { UsageError, defined, fileOption, listenOption, numberOption } from "./usage.ts";

export interface RoughtimeOptions {
  readonly listen: { readonly address: string | undefined; readonly port: number };
  readonly keyFile: string;
  readonly grease: number | undefined;
  /** How far the clock may be off, s. */
  readonly error: number;
}

/** A server and how to end what keeps its keys fresh. */
export interface RunningRoughtime {
  readonly server: RoughtimeServer;
  stop(): void;
}

/** Without a root dispersion said, as `serve` itself says. */
const DEFAULT_DISPERSION = 0.01;
const RENEW_MS = 3_600_000;

type Values = Partial<Record<"roughtime" | "roughtime-key" | "roughtime-grease" | "stratum" | "root-delay" | "root-dispersion", string>>;

/** What was asked for; undefined when nothing was. @throws {UsageError} */
export function roughtimeOptions(values: Values): RoughtimeOptions | undefined {
  const { roughtime, "roughtime-key": keyFile, stratum } = values;
  if (roughtime === undefined && keyFile === undefined && values["roughtime-grease"] === undefined) return undefined;
  if (roughtime === undefined || keyFile === undefined) throw new UsageError("serve: expected --roughtime and --roughtime-key together");
  // Roughtime cannot say "not synchronised": whoever signs the time must vouch for it.
  if (stratum === undefined) throw new UsageError("--roughtime: expected --stratum, too, as you must vouch for this clock");
  const rootDelay = numberOption("root-delay", values["root-delay"], { min: 0, max: 15 }) ?? 0;
  const rootDispersion = numberOption("root-dispersion", values["root-dispersion"], { min: 0, max: 15 }) ?? DEFAULT_DISPERSION;
  return {
    listen: listenOption("roughtime", roughtime),
    keyFile,
    grease: numberOption("roughtime-grease", values["roughtime-grease"], { min: 0, max: 0.5 }),
    error: rootDelay / 2 + rootDispersion,
  };
}

export async function startRoughtime({ listen, keyFile, grease, error }: RoughtimeOptions): Promise<RunningRoughtime> {
  const { address, port } = listen;
  const host = await lendHost();
  const keys = () => readServerKeys(keyFile, host, warn);
  const server = await serveRoughtime(host, {
    listen: address === undefined ? [{ address: "0.0.0.0", port }, { address: "::", port }] : [{ address, port }],
    keys: await fileOption("roughtime-key", keyFile, keys),
    radius: () => error,
    ...defined({ grease }),
  });
  // New delegations are put in place of the old file; a fault in them must not end a server that has good ones.
  const renew = () => void keys().then((fresh) => server.renew(fresh)).catch((error: unknown) => warn(`${keyFile}: ${(error as Error).message}`));
  const timer = setInterval(renew, RENEW_MS);
  const forget = onHangup(renew);
  return {
    server,
    stop() {
      clearInterval(timer);
      forget();
    },
  };
}

/** "127.0.0.1:2002" */
export function whereText({ addresses }: RoughtimeServer): string {
  return [...new Set(addresses.map(formatEndpoint))].join(" and ");
}
