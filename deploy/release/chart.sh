#!/bin/sh
# FILE: packs the Helm chart into FILE, as "helm package" does but for the times in it.
set -eu
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu --mode=u=rwX,go=rX \
  -C deploy/helm -cf - ekm-gateway |
  gzip -n -6 >"$1"
