#!/bin/sh
# ROOT DIRECTORY VERSION: makes an OCI image layout with one layer, the files in ROOT, in DIRECTORY, and the list of contents
# that Docker before 25 looks for.
set -eu
root=$1 directory=$2 version=$3
blobs=$directory/blobs/sha256
mkdir -p "$blobs"
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

# FILE: renames it to the digest of its content, and prints the digest.
blob() {
  digest=$(sha256sum "$1" | cut -d ' ' -f 1)
  mv "$1" "$blobs/$digest"
  echo "$digest"
}
size() { stat -c %s "$blobs/$1"; }

tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -C "$root" \
  -cf "$directory/layer.tar" .
content=$(sha256sum "$directory/layer.tar" | cut -d ' ' -f 1)
gzip -n -6 "$directory/layer.tar"
layer=$(blob "$directory/layer.tar.gz")

sed "s/@CREATED@/$created/; s/@VERSION@/$version/; s/@CONTENT@/$content/" deploy/oci/config.json >"$directory/config"
config=$(blob "$directory/config")
cat >"$directory/manifest" <<END
{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:$config", "size": $(size "$config") },
  "layers": [
    { "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:$layer", "size": $(size "$layer") }
  ]
}
END
manifest=$(blob "$directory/manifest")
echo '{ "imageLayoutVersion": "1.0.0" }' >"$directory/oci-layout"
echo "[{ \"Config\": \"blobs/sha256/$config\", \"RepoTags\": [\"ekm-gateway:$version\"], \"Layers\": [\"blobs/sha256/$layer\"] }]" \
  >"$directory/manifest.json"
cat >"$directory/index.json" <<END
{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "sha256:$manifest",
      "size": $(size "$manifest"),
      "annotations": { "org.opencontainers.image.ref.name": "ekm-gateway:$version" }
    }
  ]
}
END
