// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source as `sources` shows it, from its runner and what the core knows. Tested in engine.test.ts.
 *
 * @module
 */

import type { Endpoint } from "../host.ts";
import type { DisciplineCore } from "./discipline.ts";
import type { SourceState } from "./engine-types.ts";
import { RefclockRunner, referenceState } from "./refclock-runner.ts";
import { formatEndpoint } from "../address.ts";

interface Shown {
  readonly endpoint: Endpoint | undefined;
  readonly lastError: string | undefined;
  readonly duplicateOf?: string | undefined;
  readonly options: { readonly index: number; readonly source: { readonly text: string } };
}

/** `peer`: whom the clock follows, by index; `now`: monotonic ns. */
export function sourceState(runner: Shown | RefclockRunner, core: DisciplineCore, { peer, now }: { readonly peer: number; readonly now: bigint }): SourceState {
  const { endpoint, lastError, duplicateOf, options: { index, source } } = runner as Shown;
  const variables = core.source(index);
  return {
    ...variables,
    source: source.text,
    address: endpoint && formatEndpoint(endpoint),
    isPeer: index === peer,
    lastError,
    ...(duplicateOf !== undefined && { duplicateOf }),
    lastSample: variables.used === 0 ? undefined : Number(now - variables.lastSampleNs) / 1e9,
    ...(runner instanceof RefclockRunner && referenceState(runner, core, now)),
  };
}
