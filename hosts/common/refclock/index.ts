// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement/refclock`: drivers of reference clocks for programs of one's own, and what they are made of. Who only follows
 * one writes it as `refclock:…` and needs nothing of this. Tested in tests/documents.test.ts.
 *
 * @module
 */

export type { ForeignSample, RefClockDevices, Pulse, PulseEdge } from "./devices.ts";
export { Driver, type DriverOptions } from "./driver.ts";
export { readSharedMemory, readSock, writeSharedMemory, writeSock } from "./foreign.ts";
export { SharedMemoryClock, SockClock, SockFeed } from "./foreign-clocks.ts";
export { GpsdClock } from "./gpsd.ts";
export { NmeaClock, NmeaReader, type NmeaSentence, type NmeaTime } from "./nmea.ts";
export { isRefClock, openRefClock, parseRefClock, type RefClockKind, type RefClockSpec } from "./open.ts";
export { PpsClock } from "./pps.ts";
export { SampleQueue, type RefClock, type RefClockHealth, type RefClockSample, type RefClockTuning } from "./refclock.ts";
