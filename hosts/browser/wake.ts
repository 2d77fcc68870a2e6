// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * When a page comes back to life: shown again, resumed, back from the cache of pages, or online. A worker only hears of the
 * last. Tested in engine.test.ts.
 *
 * @module
 */

/** Call `woken` whenever there may be something to catch up with, until `signal` fires. */
export function onWake(woken: () => void, signal: AbortSignal): void {
  const { document } = globalThis as { document?: Document };
  const shown = () => {
    if (document?.visibilityState !== "hidden") woken();
  };
  const listen = (target: EventTarget | undefined, event: string) => target?.addEventListener?.(event, shown, { signal });
  listen(document, "visibilitychange");
  listen(document, "resume");
  listen(globalThis as unknown as EventTarget, "pageshow");
  listen(globalThis as unknown as EventTarget, "online");
}
