#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# `npm run peers`: brings the real NTP programs that tests/interop talks to. Debian and its kin; needs root and apt.
#
# Ordinary programs are installed. Time daemons conflict with each other and would begin to steer this machine's clock, so
# that a daemon is only unpacked, into .cache/peers/NAME, where tests/support/peers.ts finds it; chrony too, when this
# machine already has another daemon. Nothing is started. A second run finds everything there and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=.cache/peers
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
  say "all there"
  exit 0
fi
[ "$(id -u)" = 0 ] || fail "expected root, to install ${missing[*]:-libraries} and unpack daemons; run: sudo npm run peers"

install ${missing[@]+"${missing[@]}"}
unpack ntpsec usr/sbin/ntpd
case " ${tools[*]} " in *" chrony "*) ;; *) unpack chrony usr/sbin/chronyd ;; esac
say "done"
