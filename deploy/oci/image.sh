#!/bin/sh
# WORK VERSION FILE: makes an OCI image of WORK/tree and packs it into FILE: no shell, no package manager, not root.
set -eu
work=$1 version=$2 file=$3
root=$work/root
app=$root/usr/lib/ekm-gateway
mkdir -p "$app" "$root/etc/ekm-gateway" "$root/var/lib/ekm-gateway" "$root/tmp" "$root/lib64"
cp -R "$work/tree/lib" "$work/tree/LICENSE" "$work/tree/THIRD-PARTY-LICENSES" "$work/tree/sbom.cdx.json" "$app/"
cp deploy/oci/passwd deploy/oci/group deploy/oci/nsswitch.conf "$root/etc/"

# The C library of this machine's Debian, and the GCC libraries that Node.js, pkcs11js and PKCS#11 libraries need.
libraries=$root/usr/lib/x86_64-linux-gnu
mkdir -p "$libraries"
ln -s usr/lib "$root/lib"
ldd "$work/tree/lib/node" "$app/lib/app/node_modules/pkcs11js/build/Release/pkcs11.node" |
  sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u |
  while read -r library; do cp -L "$library" "$libraries/"; done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
# Scanners of images look there for what the libraries are.
cp -L /etc/os-release "$root/etc/"
mkdir -p "$root/var/lib/dpkg/status.d"
for package in libc6 libgcc-s1 libstdc++6; do
  dpkg-query --status "$package:amd64" >"$root/var/lib/dpkg/status.d/$package"
  install -D -m 644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done

find "$root" -type d -exec chmod 755 {} +
chmod 1777 "$root/tmp"
sh deploy/oci/layout.sh "$root" "$work/image" "$version"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu \
  -C "$work/image" -cf "$file" oci-layout index.json manifest.json blobs
