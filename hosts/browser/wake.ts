// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * When a page comes back to life: shown again, resumed, back from the cache of pages, or online. A worker only hears of the
 * last. Tested in engine.test.ts.
 *
 * @module
 */

/** Call `woken` whenever there may be something to catch up with. Returns how to stop. */
export function onWake(woken: () => void): () => void {
  const { document } = globalThis as { document?: Document };
  const shown = () => {
    if (document?.visibilityState !== "hidden") woken();
  };
  const events: [EventTarget | undefined, string][] = [[document, "visibilitychange"], [document, "resume"], [globalThis as unknown as EventTarget, "pageshow"], [globalThis as unknown as EventTarget, "online"]];
  for (const [target, event] of events) target?.addEventListener?.(event, shown);
  return () => {
    for (const [target, event] of events) target?.removeEventListener?.(event, shown);
  };
}
