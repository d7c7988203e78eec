#!/bin/sh
# WORK VERSION FILE: makes a Debian package of WORK/tree.
set -eu
work=$1 version=$2 file=$3
root=$work/deb
lib=$root/usr/lib/ekm-gateway
doc=$root/usr/share/doc/ekm-gateway
mkdir -p "$root/DEBIAN" "$root/usr/bin" "$lib" "$doc"
cp -R "$work/tree/bin" "$work/tree/lib" "$lib/"
cp -R "$work/tree/share/." "$root/usr/share/"
gzip -n -9 "$root/usr/share/man/man1/ekm-gateway.1"
ln -s ../lib/ekm-gateway/bin/ekm-gateway "$root/usr/bin/ekm-gateway"
node .config/bundle.js file deploy/deb/first-files.ts "$lib/lib/first-files.mjs"
install -D -m 644 deploy/systemd/ekm-gateway.service "$root/usr/lib/systemd/system/ekm-gateway.service"
install -D -m 755 deploy/systemd/ekm-gateway-keys.sh "$root/usr/sbin/ekm-gateway-keys"
sh deploy/release/examples.sh "$doc/examples"
install -D -m 644 deploy/deb/gateway.yaml "$root/etc/ekm-gateway/gateway.yaml"
cp LICENSE "$doc/copyright"
cp "$work/tree/THIRD-PARTY-LICENSES" "$work/tree/sbom.cdx.json" "$doc/"
gzip -n -9 <CHANGELOG.md >"$doc/changelog.gz"

install -m 755 deploy/deb/postinst deploy/deb/prerm deploy/deb/postrm "$root/DEBIAN/"
echo /etc/ekm-gateway/gateway.yaml >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<END
Package: ekm-gateway
Version: $version
Architecture: amd64
Section: net
Priority: optional
Maintainer: The ekm-gateway project
Installed-Size: $(du -k --apparent-size -s "$root/usr" | cut -f 1)
Depends: libc6 (>= 2.34), libgcc-s1, libstdc++6
Recommends: systemd (>= 252)
Description: Azure EKM Proxy for keys that stay outside Azure
 Wraps and unwraps the data keys of Azure Managed HSM with keys in an HSM
 (PKCS#11), a key manager (KMIP) or a software store for development.
 It carries its own Node.js.
END
find "$root" -type d -exec chmod 755 {} +
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group --threads-max=1 -Zxz -z1 --build "$root" "$file" >/dev/null
