# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Programs of another release, for build/peers.sh: unpacked with all libraries they need, down to the C library, and a script
# to start them. Nothing of this machine's apt is touched, and no root is needed.
#
# An entry is "DIRECTORY RELEASE PROGRAM=NAME[,PROGRAM=NAME] PACKAGE...": the packages and their libraries go to
# DIRECTORY/root, and DIRECTORY/usr/(s)bin/NAME starts PROGRAM from there. In a root of its own, nobody takes an ntpd of
# one maker for that of another.

# Where the script for program $2, called $3, is in directory $1.
script_of() {
  case $2 in */sbin/*) echo "$1/usr/sbin/$3" ;; *) echo "$1/usr/bin/$3" ;; esac
}

# The arguments, entries, of which a program is missing; one a line.
not_fetched() {
  local directory release programs packages pair
  printf '%s\n' "$@" | while read -r directory release programs packages; do
    for pair in ${programs//,/ }; do
      [ -x "$(script_of "$cache/$directory" "${pair%=*}" "${pair#*=}")" ] || { echo "$directory $release $programs $packages"; break; }
    done
  done
}

# This machine's first ordinary source of packages, with release $2 in its place: for $1/sources.list.d/, or as a list. What lies
# behind a name with a "-" or "/" is no whole release.
sources_of() {
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    awk -v suite="$2" 'BEGIN { RS = "" } /(^|\n)Types:[^\n]* deb( |\n)/ && /\nSuites: *[a-z]+( |\n)/ {
      sub(/\nSuites:[^\n]*/, "\nSuites: " suite); sub(/\nComponents:[^\n]*/, "\nComponents: main"); print; exit
    }' "$file" >"$1/other.sources"
    [ ! -s "$1/other.sources" ] || return 0
  done
  rm -f "$1/other.sources"
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -nE "s/^(deb +(\[[^]]*\] +)?[^ ]+ +)[a-z]+ +main.*/\1$2 main/p" | head -n 1 >"$1/other.list"
  [ -s "$1/other.list" ] || { echo "no ordinary source of packages found" >&2; return 1; }
}

# open_release STATE RELEASE: a state of apt of its own in directory STATE; from then on apt_of STATE asks it.
open_release() {
  mkdir -p "$1/sources" "$1/lists/partial" "$1/cache/archives/partial" "$1/packages"
  : >"$1/status"
  sources_of "$1/sources" "$2" && apt_of "$1" update >/dev/null
}

apt_of() {
  local state=$1
  shift
  apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$state/sources" -o "Dir::State::lists=$state/lists" \
    -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache" -o Acquire::Languages=none \
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root "$@"
}

# with_libraries STATE PACKAGE...: the packages and the libraries among all that they need, one a line.
with_libraries() {
  local state=$1
  shift
  apt_of "$state" --simulate --no-install-recommends install "$@" |
    awk -v wanted=" $* " '$1 == "Inst" && ($2 ~ /^lib/ || index(wanted, " " $2 " ")) { print $2 }'
}

# fetch_others ENTRY...: release by release, so that what several need is fetched once.
fetch_others() {
  local release state
  for release in $(printf '%s\n' "$@" | awk '!seen[$2]++ { print $2 }'); do
    state=$(mktemp -d)
    mapfile -t entries < <(printf '%s\n' "$@" | awk -v release="$release" '$2 == release')
    if open_release "$state" "$release" 2>"$state/errors"; then
      fetch_release "$state" "${entries[@]}"
    else
      say "SKIPPED $(printf '%s\n' "${entries[@]}" | cut -d ' ' -f 1 | xargs): no $release through this machine's sources ($(tail -n 1 "$state/errors")); their tests will be skipped"
    fi
    rm -rf "$state"
  done
}

# fetch_release STATE ENTRY...: all entries of one release.
fetch_release() {
  local state=$1 directory release programs packages entry
  shift
  for entry; do
    read -r directory release programs packages <<<"$entry"
    with_libraries "$state" $packages >"$state/$directory.names" 2>"$state/errors" && [ -s "$state/$directory.names" ] || {
      say "SKIPPED $directory: $release does not have $packages ($(tail -n 1 "$state/errors")); its tests will be skipped"
      rm -f "$state/$directory.names"
    }
  done
  compgen -G "$state/*.names" >/dev/null || return 0
  say "fetching from $release: $(cd "$state" && ls ./*.names | sed 's/^..//; s/\.names$//' | xargs)"
  (cd "$state/packages" && apt_of "$state" download $(sort -u "$state"/*.names) >/dev/null) || {
    say "SKIPPED them: their packages could not be fetched; their tests will be skipped"
    return 0
  }
  for entry; do
    read -r directory release programs packages <<<"$entry"
    [ ! -e "$state/$directory.names" ] || unpack_other "$state" "$directory" "$programs"
  done
}

# unpack_other STATE DIRECTORY PROGRAMS: aside, and into place when it is whole, as others may be looking.
unpack_other() {
  local state=$1 target=$cache/$2 aside=$cache/.$2.$$ name pair
  mkdir -p "$aside"/root/usr/{bin,sbin,lib,lib64}
  # One layout for releases that keep /lib apart from /usr/lib and those that do not.
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$aside/root/$name"; done
  while read -r name; do
    dpkg-deb --fsys-tarfile "$state/packages/$name"_*.deb | tar -x -C "$aside/root" --keep-directory-symlink --no-same-owner \
      --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale' --exclude='*/gconv'
  done <"$state/$2.names"
  for pair in ${3//,/ }; do
    [ -x "$aside/root/${pair%=*}" ] || fail "expected ${pair%=*} for $2, found none"
    start_script "$(script_of "$aside" "${pair%=*}" "${pair#*=}")" "${pair%=*}"
  done
  rm -rf "$target"
  mv "$aside" "$target"
  say "unpacked $2, $(du -sh "$target" | cut -f 1)"
}

# start_script SCRIPT PROGRAM: through the release's own loader, with its own libraries.
start_script() {
  mkdir -p "$(dirname "$1")"
  cat >"$1" <<EOF
#!/bin/sh
root=\$(dirname "\$0")/../../root
for loader in "\$root"/usr/lib/*-linux-*/ld-linux*; do :; done
libraries=\${loader%/*}
WIRESHARK_DATA_DIR=\$root/usr/share/wireshark WIRESHARK_PLUGIN_DIR=\$libraries/wireshark/plugins exec "\$loader" \\
  --library-path "\$libraries:\$libraries/systemd" "\$root/$2" "\$@"
EOF
  chmod 755 "$1"
}
