# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Packages of this machine's own release, for build/peers.sh: installed with nothing started, or only unpacked.

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

# The arguments "PACKAGE PROGRAM" that are not unpacked, one a line.
not_unpacked() {
  local package program
  printf '%s\n' "$@" | while read -r package program; do
    [ -x "$cache/$package/$program" ] || echo "$package $program"
  done
}

# unpack PACKAGE PROGRAM: fetch and unpack PACKAGE without installing it; what it needs is installed.
unpack() {
  local package=$1 program=$2 target=$cache/$1 download
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
