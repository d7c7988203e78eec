#!/bin/sh
# WORK VERSION FILE: makes an OCI image of WORK/tree and packs it into FILE: no shell, no package manager, not root.
set -eu
work=$1 version=$2 file=$3
root=$work/root
app=$root/usr/lib/ekm-gateway
mkdir -p "$app" "$root/etc/ekm-gateway" "$root/var/lib/ekm-gateway" "$root/tmp" "$root/lib64"
cp -R "$work/tree/lib" "$work/tree/LICENSE" "$app/"
cp deploy/oci/passwd deploy/oci/group deploy/oci/nsswitch.conf "$root/etc/"
ln -s usr/lib "$root/lib"
sh deploy/oci/debian.sh "$root" "$work/tree/lib/node" "$app/lib/app/node_modules/pkcs11js/build/Release/pkcs11.node"
node deploy/oci/licences.ts "$root" "$work/tree/THIRD-PARTY-LICENSES" >"$app/THIRD-PARTY-LICENSES"
# It names itself, so that the file is there before it is made.
: >"$app/sbom.cdx.json"
node deploy/oci/sbom.ts "$root" "$work/tree/sbom.cdx.json" >"$work/image.cdx.json"
cp "$work/image.cdx.json" "$app/sbom.cdx.json"

find "$root" -type d -exec chmod 755 {} +
chmod 1777 "$root/tmp"
sh deploy/oci/layout.sh "$root" "$work/image" "$version"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu \
  -C "$work/image" -cf "$file" oci-layout index.json manifest.json blobs
