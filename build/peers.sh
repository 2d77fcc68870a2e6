#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# `npm run peers`: brings the real NTP programs that tests/interop talks to. Debian and its kin; needs root and apt.
#
# Ordinary programs are installed. Time daemons conflict with each other and would begin to steer this machine's clock, so
# that a daemon is only unpacked, into .cache/peers/NAME, where tests/support/peers.ts finds it; chrony too, when this
# machine already has another daemon. Classic ntpd, which today's releases no longer have, comes with its libraries from an
# earlier one, through this machine's own mirror; where that has it not, its tests are skipped. Nothing is started. A second
# run finds everything there and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=.cache/peers
classic=$cache/ntp-classic
tools=(iproute2 ntpsec-ntpdig rdate socat tshark util-linux)

say() { echo "peers: $*"; }
fail() { say "$*" >&2; exit 1; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# The packages of the arguments that are not installed, one a line.
absent() { for package; do installed "$package" || echo "$package"; done; }

# The time daemon that is installed, if any. `time-daemon` is a virtual package: ask who provides it.
time_daemon() {
  dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' |
    sed -n 's/^installed \([^ ]*\) .*\<time-daemon\>.*/\1/p' | head -n 1
}

updated=no
# Lists may be old or missing: refresh them once, before the first package is fetched.
update() {
  [ "$updated" = no ] || return 0
  say "refreshing the package lists"
  apt-get -qq update || fail "apt-get update failed; is there a network?"
  updated=yes
}

# Keeps maintainer scripts from starting a daemon, without touching a policy that is there already.
policy=/usr/sbin/policy-rc.d
forbid_starting() {
  [ -e "$policy" ] && return
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
}

install() {
  [ $# -gt 0 ] || return 0
  update
  forbid_starting
  say "installing $*"
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@" >/dev/null
}

# What a package needs, first alternatives, without those that are there or that only a started daemon needs.
needs() {
  dpkg-deb -f "$1" Pre-Depends Depends | sed 's/^[A-Za-z-]*: //' | tr ',' '\n' |
    sed 's/|.*//; s/(.*//; s/:any//; s/[[:space:]]//g' | grep -vxE 'adduser|init-system-helpers|lsb-base|' || true
}

# unpack PACKAGE PROGRAM: fetch and unpack PACKAGE without installing it; done when PROGRAM is there.
unpack() {
  local package=$1 program=$2 target=$cache/$1 download
  [ -x "$target/$program" ] && return
  update
  say "unpacking $package into $target"
  download=$(mktemp -d)
  (cd "$download" && apt-get -qq -o APT::Sandbox::User=root download "$package")
  mapfile -t missing < <(absent $(needs "$download"/*.deb))
  install ${missing[@]+"${missing[@]}"}
  rm -rf "$target"
  mkdir -p "$target"
  dpkg-deb -x "$download"/*.deb "$target"
  rm -rf "$download"
  [ -x "$target/$program" ] || fail "expected $program in $package, found none"
}

# The suite with ntp 4.2.8, and what ntpd and ntpq are linked with. It will not change any more.
classic_suite=bullseye
classic_packages=(
  ntp libbsd0 libc6 libcap2 libcrypt1 libedit2 libevent-core-2.1-7 libevent-pthreads-2.1-7 libgcc-s1 libmd0 libopts25 libssl1.1 libtinfo6
)

classic_there() { [ -x "$classic/usr/sbin/ntpd-classic" ] && [ -x "$classic/usr/bin/ntpq-classic" ]; }

# This machine's first ordinary source of packages, with another suite: for sources.list.d/, or for sources.list. What lies
# behind a name with a "-" or "/" is no whole suite.
classic_sources() {
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    awk -v suite="$classic_suite" 'BEGIN { RS = "" } /(^|\n)Types:[^\n]* deb( |\n)/ && /\nSuites: *[a-z]+( |\n)/ {
      sub(/\nSuites:[^\n]*/, "\nSuites: " suite); sub(/\nComponents:[^\n]*/, "\nComponents: main"); print; exit
    }' "$file" >"$1/classic.sources"
    [ ! -s "$1/classic.sources" ] || return 0
  done
  rm -f "$1/classic.sources"
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -nE "s/^(deb +(\[[^]]*\] +)?[^ ]+ +)[a-z]+ +main.*/\1$classic_suite main/p" | head -n 1 >"$1/classic.list"
  [ -s "$1/classic.list" ]
}

# A private state of apt, so that nothing of this machine's own changes; needs no root.
fetch_classic() {
  local state=$1
  mkdir -p "$state/sources" "$state/lists/partial" "$state/cache/archives/partial" "$state/packages"
  : >"$state/status"
  classic_sources "$state/sources" || return 1
  local apt=(
    apt-get -qq -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$state/sources" -o "Dir::State::lists=$state/lists"
    -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache" -o Acquire::Languages=none
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root
  )
  "${apt[@]}" update >/dev/null && (cd "$state/packages" && "${apt[@]}" download "${classic_packages[@]}" >/dev/null)
}

# Programs are started through a script, with their own libraries; in a root of their own nobody takes them for ntpsec's.
start_script() {
  mkdir -p "$(dirname "$1")"
  cat >"$1" <<EOF
#!/bin/sh
root=\$(dirname "\$0")/../../root
for library in "\$root"/lib/*-linux-*; do :; done
exec "\$library"/ld-[0-9]*.so --library-path "\$library:\$root/usr/\${library#"\$root"/}" "\$root/$2" "\$@"
EOF
  chmod 755 "$1"
}

unpack_classic() {
  classic_there && return
  say "unpacking classic ntp into $classic"
  local state package
  state=$(mktemp -d)
  if fetch_classic "$state" 2>"$state/errors"; then
    rm -rf "$classic"
    mkdir -p "$classic/root"
    for package in "$state"/packages/*.deb; do dpkg-deb -x "$package" "$classic/root"; done
    start_script "$classic/usr/sbin/ntpd-classic" usr/sbin/ntpd
    start_script "$classic/usr/bin/ntpq-classic" usr/bin/ntpq
  else
    say "no classic ntp: $classic_suite cannot be had through this machine's sources ($(tail -n 1 "$state/errors" | grep . || echo "no source of packages found")); its tests will be skipped"
  fi
  rm -rf "$state"
}

[ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  fail "expected Debian or one of its kin (apt-get, dpkg-deb); install chrony, ntpsec, ntpdig, rdate, iproute2, tshark and socat yourself"

daemon=$(time_daemon)
if [ -z "$daemon" ] || [ "$daemon" = chrony ]; then tools+=(chrony); fi
command -v cc >/dev/null || tools+=(build-essential)

mapfile -t missing < <(absent "${tools[@]}")
all_there=yes
[ ${#missing[@]} -eq 0 ] || all_there=no
[ -x "$cache/ntpsec/usr/sbin/ntpd" ] || all_there=no
case " ${tools[*]} " in *" chrony "*) ;; *) [ -x "$cache/chrony/usr/sbin/chronyd" ] || all_there=no ;; esac
if [ $all_there = yes ]; then
  unpack_classic
  ! classic_there || say "all there"
  exit 0
fi
[ "$(id -u)" = 0 ] || fail "expected root, to install ${missing[*]:-libraries} and unpack daemons; run: sudo npm run peers"

install ${missing[@]+"${missing[@]}"}
unpack ntpsec usr/sbin/ntpd
case " ${tools[*]} " in *" chrony "*) ;; *) unpack chrony usr/sbin/chronyd ;; esac
unpack_classic
say "done"
