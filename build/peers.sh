#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# `npm run peers`: brings the real programs that tests/interop talks to. Debian and its kin; needs root and apt.
#
# Ordinary programs are installed. Time daemons conflict with each other and would begin to steer this machine's clock, so
# that a daemon is only unpacked, into .cache/peers/NAME, where tests/support/peers.ts finds it; chrony too, when this
# machine already has another daemon. What only other releases have, older or newer, comes from there with its libraries,
# through this machine's own mirror; where that has it not, its tests are skipped. Nothing is started. A second run finds
# everything there and does nothing. PEERS_CACHE names another place than .cache/peers.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${PEERS_CACHE:-.cache/peers}

# Installed.
tools=(chromium iproute2 ntpsec-ntpdig openssl python3-cryptography rdate redis-server socat tshark util-linux)

# Unpacked, from this machine's release: package and program.
daemons=(
  "ntpsec usr/sbin/ntpd"
  "gpsd   usr/sbin/gpsd"
)

# Unpacked, from another release: directory, release, program=its name here and so on, packages. The older one has what is
# no longer made, and will not change; the newer one has newer versions, and goes on.
others=(
  "ntp-classic  bullseye  usr/sbin/ntpd=ntpd-classic,usr/bin/ntpq=ntpq-classic             ntp"
  "ntp-clients  bullseye  usr/sbin/ntpdate=ntpdate,usr/bin/sntp=sntp                       ntpdate sntp"
  "chrony-new   forky     usr/sbin/chronyd=chronyd-new,usr/bin/chronyc=chronyc-new         chrony"
  "ntpd-rs      forky     usr/bin/ntp-daemon=ntp-daemon,usr/bin/ntp-ctl=ntp-ctl            ntpd-rs"
  "ntpsec-new   forky     usr/sbin/ntpd=ntpd-new                                           ntpsec"
  "openntpd     forky     usr/sbin/ntpd=openntpd,usr/sbin/ntpctl=openntpd-ctl              openntpd"
  "timesyncd    forky     usr/lib/systemd/systemd-timesyncd=systemd-timesyncd              systemd-timesyncd"
  "tshark-new   forky     usr/bin/tshark=tshark-new                                        tshark wireshark-common"
)

say() { echo "peers: $*"; }
fail() { say "$*" >&2; exit 1; }

. build/peers/install.sh
. build/peers/unpack.sh

[ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  fail "expected Debian or one of its kin (apt-get, dpkg-deb); install chrony, ntpsec, ntpdig, rdate, iproute2, tshark and socat yourself"

daemon=$(time_daemon)
if [ -z "$daemon" ] || [ "$daemon" = chrony ]; then tools+=(chrony); else daemons+=("chrony usr/sbin/chronyd"); fi
command -v cc >/dev/null || tools+=(build-essential)

mapfile -t missing < <(absent "${tools[@]}")
mapfile -t packed < <(not_unpacked "${daemons[@]}")
if [ ${#missing[@]} -gt 0 ] || [ ${#packed[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "expected root, to install ${missing[*]:-libraries} and unpack daemons; run: sudo npm run peers"
  install ${missing[@]+"${missing[@]}"}
  for daemon in ${packed[@]+"${packed[@]}"}; do unpack $daemon; done
fi

mapfile -t elsewhere < <(not_fetched "${others[@]}")
if [ ${#elsewhere[@]} -gt 0 ]; then fetch_others "${elsewhere[@]}"; fi
mapfile -t elsewhere < <(not_fetched "${others[@]}")
if [ ${#elsewhere[@]} -eq 0 ]; then say "all there"; else say "all there, but for what was named above"; fi
