#!/bin/sh
# WORK FILE: packs WORK/tree, and the files that an operator installs beside it, into FILE.
set -eu
work=$1 file=$2
name=$(basename "$file" .tar.gz)
cp -R "$work/tree" "$work/$name"
install -D -m 644 deploy/systemd/ekm-gateway.service "$work/$name/systemd/ekm-gateway.service"
install -D -m 755 deploy/systemd/ekm-gateway-keys.sh "$work/$name/systemd/ekm-gateway-keys"
install -D -m 644 deploy/deb/gateway.yaml "$work/$name/gateway.yaml"
sh deploy/release/examples.sh "$work/$name/examples"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -C "$work" -cf - "$name" |
  gzip -n -6 >"$file"
