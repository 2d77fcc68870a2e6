// SPDX-License-Identifier: MIT OR Apache-2.0
// The simulator's engine: true time, event driven. The next event is the earliest of a packet's
// arrival, a process's timer and the next integer second; at equal times the second comes first.
// Processes are infinitely fast. Test: world.test.ts.

import type { SimulatedClock } from "./node.ts";

/** What runs on the simulated computer. It sees its own clock and nothing of true time. */
export interface Process {
  /** Monotonic time of its next timer; Infinity for none. */
  deadline: number;
  onTimer(): void;
}

interface Arrival {
  readonly at: number;
  readonly deliver: () => void;
}

export class World {
  /** True time, seconds since the start. */
  time = 0;
  readonly clock: SimulatedClock;
  private process: Process | undefined;
  private readonly arrivals: Arrival[] = []; // ascending by time; a handful at most

  constructor(clock: SimulatedClock) {
    this.clock = clock;
  }

  run(process: Process): void {
    this.process = process;
  }

  /** A packet arrives `delay` true seconds from now. Packets may overtake each other. */
  send(delay: number, deliver: () => void): void {
    const arrival = { at: this.time + delay, deliver };
    let place = this.arrivals.length;
    while (place > 0 && (this.arrivals[place - 1] as Arrival).at > arrival.at) place--;
    this.arrivals.splice(place, 0, arrival);
  }

  /** Runs until `end`; `onSecond` is called at every integer second, before the kernel's own tick. */
  until(end: number, onSecond: (second: number) => void, observe: (second: number) => void): void {
    let next = Math.floor(this.time) + 1;
    while (next <= end) {
      const arrival = this.arrivals[0];
      const arrivesAt = arrival === undefined ? Infinity : arrival.at;
      const fires = this.timerAt();
      if (next <= arrivesAt && next <= fires) {
        this.moveTo(next);
        onSecond(next);
        this.clock.second();
        observe(next);
        next++;
      } else if (arrivesAt <= fires) {
        this.moveTo(arrivesAt);
        this.arrivals.shift();
        (arrival as Arrival).deliver();
      } else {
        this.moveTo(fires);
        this.fire();
      }
    }
  }

  private timerAt(): number {
    if (this.process === undefined || this.process.deadline === Infinity) return Infinity;
    if (this.clock.asleep) return Infinity;
    const wait = (this.process.deadline - this.clock.monotonic) / this.clock.rate;
    return this.time + Math.max(0, wait);
  }

  private fire(): void {
    if (this.process !== undefined) {
      // Rounding may leave M a hair short of the deadline: the timer fires there all the same.
      this.clock.monotonic = Math.max(this.clock.monotonic, this.process.deadline);
      this.process.onTimer();
    }
  }

  private moveTo(time: number): void {
    if (time > this.time) {
      this.clock.advance(time - this.time);
      this.time = time;
    }
  }
}
