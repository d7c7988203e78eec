#!/bin/sh
# Installs the Debian packages that the tests of deploy/ need, if it may. Then it names the missing ones.
set -eu
missing=''
for pair in debootstrap:debootstrap systemd-nspawn:systemd-container systemd-analyze:systemd zsh:zsh fish:fish \
  mandoc:mandoc podman:podman runc:runc haproxy:haproxy nginx:nginx prometheus:prometheus \
  prometheus-alertmanager:prometheus-alertmanager \
  ip:iproute2 softhsm2-util:softhsm2 openssl:openssl strip:binutils g++:g++ make:make python3:python3; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing="$missing libnginx-mod-stream"
[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # A machine that was just started may be updating itself.
  # shellcheck disable=SC2086
  apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends $missing >/dev/null
else
  echo "test:deploy: not there, and not to be installed:$missing" >&2
fi
