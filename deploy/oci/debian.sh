#!/bin/sh
# ROOT BINARY...: copies this machine's Debian libraries that the binaries need into ROOT, and notes there, where scanners
# of images look, which packages they are of.
set -eu
root=$1
shift
status=$root/var/lib/dpkg/status.d
mkdir -p "$status"

# PACKAGE FILE PATH: copies FILE of this machine to PATH in the image.
put() {
  mkdir -p "$root$(dirname "$3")"
  cp -L "$2" "$root$3"
  (cd "$root" && md5sum "${3#/}") >>"$status/$1.md5sums"
}

# FILE PATH: the same, with the copyright of the file's package and the licences that it refers to.
take() {
  # ldd and dpkg may write the path of the same file with /usr and without.
  package=$(dpkg-query --search "$1" "/usr$1" 2>/dev/null | head -n 1 | cut -d : -f 1)
  [ -n "$package" ] || { echo "$1 is of no Debian package" >&2; exit 1; }
  put "$package" "$1" "$2"
  [ ! -e "$status/$package" ] || return 0
  dpkg-query --status "$package:amd64" >"$status/$package"
  copyright=/usr/share/doc/$package/copyright
  put "$package" "$copyright" "$copyright"
  for licence in $(grep -o '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$copyright" | sort -u); do
    [ -e "$root$licence" ] || put base-files "$licence" "$licence"
  done
}

ldd "$@" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u |
  while read -r library; do take "$library" "/usr/lib/x86_64-linux-gnu/${library##*/}"; done
take /lib64/ld-linux-x86-64.so.2 /lib64/ld-linux-x86-64.so.2
take /etc/os-release /etc/os-release
