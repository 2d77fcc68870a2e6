// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a runtime lends for reference clocks: serial lines, pulses, shared memory, datagrams on the machine itself. A device
 * that a host cannot open is absent, or its opening rejects with `UNSUPPORTED`.
 * Tested in tests/native/local-devices.test.ts.
 *
 * @module
 */

/** A device that is open. */
export interface Device {
  /** Idempotent; its handlers are not called any more. */
  close(): void;
}

export interface SerialOptions {
  readonly path: string;
  /** Bits a second; any number that the line's hardware can make. Absent: as the line is set. */
  readonly baud?: number | undefined;
}

/** Handlers never throw. */
export interface SerialHandlers {
  /** Octets came; `receivedNs` is the wall clock's time then. The array is only valid until the handler returns. */
  onData(data: Uint8Array, receivedNs: bigint): void;
  /** The line is gone: unplugged, or its other end was closed. */
  onEnd(error?: Error): void;
}

/** Which edge of a pulse marks the second (RFC 2783 §3.2). */
export type PulseEdge = "assert" | "clear";

export interface PpsOptions {
  readonly path: string;
  /** Take both for a signal of two pulses a second's width apart only where the receiver says so. Default "assert". */
  readonly edges: readonly PulseEdge[];
}

/** A pulse: when it came by the wall clock, its edge, and its number, which tells of missed ones. */
export interface Pulse {
  readonly edge: PulseEdge;
  readonly atNs: bigint;
  readonly sequence: number;
}

/** A sample as NTP's shared memory and chrony's socket bring it. */
export interface ForeignSample {
  /** The reference's time and the wall clock's when it was taken. */
  readonly timeNs: bigint;
  readonly receivedNs: bigint;
  readonly leap: 0 | 1 | 2 | 3;
  /** log2 s. */
  readonly precision: number;
  readonly pulse: boolean;
}

/** A segment of shared memory that somebody else writes. */
export interface SharedMemory extends Device {
  /** The sample written last, once; undefined when there is no new one. */
  take(): ForeignSample | undefined;
}

export interface SharedMemoryOptions {
  /** ntpd's unit: 0 and 1 are for root, the others for everybody. */
  readonly unit: number;
}

/** What a network card can stamp, and its clock beside the system's. */
export interface HardwareStamping {
  readonly interface: string;
  readonly receive: boolean;
  readonly transmit: boolean;
  /** Number of its clock, /dev/ptpN; -1: none. */
  readonly phc: number;
  /** Why software stamps have to do; undefined where they need not. */
  readonly reason: string | undefined;
  /** How far its clock is ahead of the system's, s, within half of `window`. */
  readonly clock?: { readonly ahead: number; readonly window: number; readonly method: string };
}

/** A serial line, opened. */
export type OpenSerial = (options: SerialOptions, handlers: SerialHandlers) => Promise<Device>;

/** Lent by a host as far as it can. */
export interface RefClockDevices {
  openSerial?: OpenSerial;
  /** Kernel pulses; `onPulse` is called for each, in order. */
  openPps?(options: PpsOptions, onPulse: (pulse: Pulse) => void, onEnd: (error: Error) => void): Promise<Device>;
  openSharedMemory?(options: SharedMemoryOptions): Promise<SharedMemory>;
  /** A Unix datagram socket at `path`, made by us; `onDatagram` gets a copy. */
  openLocalSocket?(path: string, onDatagram: (data: Uint8Array) => void): Promise<Device>;
  /** Ask a network interface; changes nothing. */
  hardwareStamping?(name: string): HardwareStamping;
  /** Somebody else's Unix datagram socket, to send to. */
  connectLocalSocket?(path: string): Promise<LocalSender>;
}

export interface LocalSender extends Device {
  /** @throws the system's error: nobody listens (any more). */
  send(data: Uint8Array): void;
}
