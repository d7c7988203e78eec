#!/bin/sh
# WORK TARBALL NODE: makes the self-contained WORK/tree from the npm tarball and the lock in it.
set -eu
work=$1 tarball=$2 node=$3
app=$work/tree/lib/app
mkdir -p "$app" "$work/tree/bin"
tar -xzf "$tarball" -C "$app" --strip-components=1
mv "$app/share" "$work/tree/share"
rm "$app/THIRD-PARTY-LICENSES"
# Only one dependency's install script runs: that of pkcs11js, which compiles it.
npm ci --prefix "$app" --omit=dev --ignore-scripts --no-audit --no-fund
npm rebuild --prefix "$app" --foreground-scripts pkcs11js >"$work/pkcs11js.log" 2>&1 || { cat "$work/pkcs11js.log" >&2; exit 1; }
pkcs11=$app/node_modules/pkcs11js
cp "$pkcs11/build/Release/pkcs11.node" "$work/pkcs11.node"
# Sources and objects contain the path of their build directory, so that they are removed.
rm -rf "$pkcs11/build" "$pkcs11/src" "$pkcs11/includes" "$pkcs11/binding.gyp" "$app/node_modules/.package-lock.json"
# Links to commands of dependencies, which nobody calls here.
find "$app/node_modules" -type d -name .bin -prune -exec rm -rf {} +
mkdir -p "$pkcs11/build/Release"
strip --strip-unneeded --remove-section=.note.gnu.build-id -o "$pkcs11/build/Release/pkcs11.node" "$work/pkcs11.node"
install -m 755 "$node/bin/node" "$work/tree/lib/node"
install -m 755 deploy/release/ekm-gateway.sh "$work/tree/bin/ekm-gateway"
cp LICENSE "$work/tree/"
find "$work/tree" -type d -exec chmod 755 {} +
find "$work/tree" -type f -perm /111 -exec chmod 755 {} +
find "$work/tree" -type f ! -perm /111 -exec chmod 644 {} +
