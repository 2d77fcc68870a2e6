// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Put before a program's own libraries (LD_PRELOAD) it makes every call that would touch the system clock succeed without
 * effect, for time daemons that end when they may not set it. Reading goes on as ever; the frequency is told as zero.
 * Compiled by tests/support/no-clock.ts.
 */
#include <string.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

int ntp_adjtime(struct timex *state) {
  memset(state, 0, sizeof *state);
  state->tick = 10000;
  return TIME_OK;
}

int adjtimex(struct timex *state) { return ntp_adjtime(state); }

int clock_adjtime(clockid_t clock, struct timex *state) {
  (void)clock;
  return ntp_adjtime(state);
}

int clock_settime(clockid_t clock, const struct timespec *time) {
  (void)clock, (void)time;
  return 0;
}

int settimeofday(const struct timeval *time, const struct timezone *zone) {
  (void)time, (void)zone;
  return 0;
}

int adjtime(const struct timeval *wanted, struct timeval *left) {
  (void)wanted;
  if (left) memset(left, 0, sizeof *left);
  return 0;
}
