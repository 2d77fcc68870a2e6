// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement query`: asks each source, says what every one told and what they agree on. Tested in command.test.ts.
 *
 * @module
 */

import { lendHost, survey, type Survey } from "#host";
import { AUTHENTICATION_OPTIONS, authentication } from "./authentication.ts";
import { cardOptions } from "./cards.ts";
import { paint } from "./format.ts";
import { errorLines, sourceTable, verdictText } from "./report.ts";
import { FAMILY_OPTIONS, UsageError, command, defined, familyOption, numberOption } from "./usage.ts";

const HELP = `usage: escapement query [OPTION...] SOURCE...

Ask each source for the time, judge the answers and find what the majority agrees on.
A source is HOST[:PORT], [IPV6]:PORT, ntp://HOST[:PORT], nts:HOST[:PORT], or roughtime:HOST[:PORT]#KEY with the
server's long-term public key in base64; Roughtime answers are signed, and coarse.

  --timeout S        seconds to wait for each source in all (default 5)
  --samples N        ask each source N times, 2 s apart, and keep its least delay (default 1, at most 8)
  --ntp-version V    3, 4 (default) or 5, which is a draft
  --interleaved      ask up to three times for the server's true transmit time (RFC 9769)
  --fine-root        ask for root delay and dispersion in chrony's field 0xF323
  --hardware-timestamps IF
                     let this network card stamp (switched on for everybody); may be repeated; "*": all that can
  --key FILE:ID      believe only what key ID of a key file vouches for (not nts:)
  --ca FILE          nts: trust the certificates of this file (PEM) instead of the system's
  --pin HASH         nts: the chain must have a key with this SHA-256 (base64); may be repeated
  --pq WHEN          nts: hybrid key exchange with ML-KEM: prefer (default), require or off
  --aead N           nts: offer only this AEAD algorithm (15, 16, 17 or 30); may be repeated, the most wanted first
  --cert-time WHEN   nts: judge certificates by the system's time (default), "until-synced" (not at all: this
                     command has no other time) or "roughtime": by what a majority of three servers or more signs
  --roughtime-server SOURCE   one of them, as roughtime:HOST[:PORT]#KEY; may be repeated
  --roughtime-list FILE       all of a server list (JSON of RFC 10049)
  --relay URL        ask by this relay (ws: or wss:); it need not be trusted with nts: and roughtime:
  --key-log FILE     nts: append the connection's secrets, for debugging with tshark
  -4, -6             only IPv4, only IPv6
  --json             one JSON document on standard output: {samples, errors, consensus}
  --help             this text

Exit status: 0 when at least one usable answer came, 1 when none did, 2 for wrong usage.`;

const OPTIONS = {
  timeout: { type: "string" },
  samples: { type: "string" },
  "ntp-version": { type: "string" },
  "fine-root": { type: "boolean" },
  interleaved: { type: "boolean" },
  relay: { type: "string" },
  "hardware-timestamps": { type: "string", multiple: true },
  ...AUTHENTICATION_OPTIONS,
  ...FAMILY_OPTIONS,
  json: { type: "boolean" },
} as const;

export const run = command(HELP, OPTIONS, async ({ values, positionals }) => {
  if (positionals.length === 0) throw new UsageError(`query: expected at least one SOURCE\n\n${HELP}`);
  const options = {
    timeout: numberOption("timeout", values.timeout, { min: 0.01, max: 300 }) ?? 5,
    version: (numberOption("ntp-version", values["ntp-version"], { min: 3, max: 5, integer: true }) ?? 4) as 3 | 4 | 5,
    samples: numberOption("samples", values.samples, { min: 1, max: 8, integer: true }) ?? 1,
    fineRoot: values["fine-root"] ?? false,
    interleaved: values.interleaved ?? false,
    ...defined({ relay: values.relay }),
    ...cardOptions(values["hardware-timestamps"]),
    ...(await authentication(values)),
    ...familyOption(values),
  };
  const result = await survey(positionals, options);
  if (values.json) console.log(JSON.stringify(toJson(result), null, 2));
  else await print(result);
  return result.entries.some(({ sample }) => sample?.usable) ? 0 : 1;
});

function toJson({ entries, consensus }: Survey): object {
  return {
    samples: entries.flatMap(({ sample, verdict }) => (sample ? [{ ...sample.toJSON(), verdict }] : [])),
    errors: entries.flatMap(({ source, error }) => (error ? [{ source, code: error.code, message: error.message }] : [])),
    consensus: consensus ? { offset: consensus.offset, uncertainty: consensus.uncertainty } : null,
  };
}

async function print(result: Survey): Promise<void> {
  const { clock } = await lendHost();
  console.log(sourceTable(result));
  console.log();
  console.log(result.entries.length > 1 || !result.consensus ? verdictText(result, clock.now()) : verdictText(result, clock.now()).split("\n").slice(1).join("\n"));
  for (const line of errorLines(result)) console.log(paint(line, "dim"));
}
