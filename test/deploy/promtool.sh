#!/bin/sh
# Installs promtool of Debian's prometheus, if it may install packages.
set -eu
command -v promtool >/dev/null && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends prometheus >/dev/null
else
  echo 'promtool is not there: apt-get install prometheus' >&2
  exit 1
fi
