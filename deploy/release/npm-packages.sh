#!/bin/sh
# WORK OUT: packs ekm-gateway with its lock, and the two packages that work without it. WORK/contents then has all
# packages that are in the programs, or that are installed with them.
set -eu
work=$1 out=$2
npm run --silent build
node deploy/release/shell-files.ts "$work/share"
mkdir -p "$work/npm/dist" "$work/contents"
cp -R dist/programs "$work/npm/dist/"
cp -R "$work/share" README.md CHANGELOG.md SECURITY.md LICENSE "$work/npm/"
node deploy/release/npm-package.ts "$work/npm" "$work/contents"
npm ci --prefix "$work/contents" --ignore-scripts --no-audit --no-fund
node deploy/release/licences.ts "$work/contents" node_modules/rolldown >"$work/npm/THIRD-PARTY-LICENSES"
npm pack --silent --ignore-scripts --pack-destination "$out" "$work/npm" >/dev/null
for package in adapters/ttlv-codec src/conformance; do
  npm pack --silent --pack-destination "$out" "./$package" >/dev/null
done
