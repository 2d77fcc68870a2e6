// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Put before a program's own libraries (LD_PRELOAD) it makes every call that would touch the system clock succeed without
 * effect, for time daemons that end when they may not set it. Reading goes on as ever; the frequency is told as zero.
 *
 * What would have been set is appended to the file that NO_CLOCK_LOG names, if any, a line a call: "adjtime -0.000125" and
 * "adjtimex modes 0x1 offset 12" as they were asked for, "settimeofday" and "clock_settime" with what they would have moved
 * the clock by. Compiled by tests/support/no-clock.ts.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static void note(const char *format, ...) {
  const char *path = getenv("NO_CLOCK_LOG");
  char line[128];
  va_list values;
  int file, length;
  if (!path || (file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) < 0) return;
  va_start(values, format);
  length = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  if (length > 0 && write(file, line, (size_t)length) < 0) abort();
  close(file);
}

static double ahead_by(double seconds, double rest) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return seconds - (double)now.tv_sec + (rest - (double)now.tv_nsec / 1e9);
}

int ntp_adjtime(struct timex *state) {
  if (state->modes) note("adjtimex modes 0x%x offset %ld\n", state->modes, (long)state->offset);
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
  (void)clock;
  note("clock_settime %+.6f\n", ahead_by((double)time->tv_sec, (double)time->tv_nsec / 1e9));
  return 0;
}

int settimeofday(const struct timeval *time, const struct timezone *zone) {
  (void)zone;
  if (time) note("settimeofday %+.6f\n", ahead_by((double)time->tv_sec, (double)time->tv_usec / 1e6));
  return 0;
}

int adjtime(const struct timeval *wanted, struct timeval *left) {
  if (wanted) note("adjtime %+.6f\n", (double)wanted->tv_sec + (double)wanted->tv_usec / 1e6);
  if (left) memset(left, 0, sizeof *left);
  return 0;
}
