#!/bin/sh
# Installs the Debian packages that the tests need: SoftHSM, NSS, PyKMIP, HAProxy, faketime, openssl, git, curl, systemd
# (its systemd-notify), and a compiler if pkcs11js was not built. Does nothing if they are installed. Without the rights to
# install, the tests say what is missing.
set -eu
command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || exit 0

missing=''
[ -e /usr/lib/softhsm/libsofthsm2.so ] && command -v softhsm2-util >/dev/null || missing="$missing softhsm2"
[ -n "$(find /usr/lib -name libsoftokn3.so -print -quit)" ] || missing="$missing libnss3"
command -v certutil >/dev/null || missing="$missing libnss3-tools"
[ -e /usr/bin/pykmip-server ] || missing="$missing python3-pykmip"
[ -e /usr/sbin/haproxy ] || missing="$missing haproxy"
command -v faketime >/dev/null || missing="$missing faketime"
command -v openssl >/dev/null || missing="$missing openssl"
command -v git >/dev/null || missing="$missing git"
command -v curl >/dev/null || missing="$missing curl"
command -v systemd-notify >/dev/null || missing="$missing systemd"
built() { node -e 'require("pkcs11js")' 2>/dev/null; }
command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
built || for tool in g++ make python3; do command -v "$tool" >/dev/null || missing="$missing $tool"; done

if [ -n "$missing" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # A machine that was just started may be updating itself.
  # shellcheck disable=SC2086
  apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends $missing >/dev/null
fi
if ! built; then
  wanted=pkcs11js@$(node -p 'require("./package.json").optionalDependencies.pkcs11js')
  npm install --no-save --no-audit --no-fund "$wanted"
  # npm is silent about an optional package that it could not fetch or build.
  built || { echo "$wanted could not be installed. In an empty folder, npm install $wanted says why." >&2; exit 1; }
fi
