#!/bin/sh
# [DIRECTORY]: signs SHA256SUMS of a release, and thereby every file. Writes SHA256SUMS.sig and the public key.
# EKM_RELEASE_KEY holds the private key as PEM, Ed25519 or ECDSA.
set -eu
cd "${1:-release}"
key=${EKM_RELEASE_KEY:?must hold a private key as PEM}
unset EKM_RELEASE_KEY
sha256sum --check --strict --quiet SHA256SUMS
# printf is a shell builtin, so that the key appears in no process list.
printf '%s\n' "$key" | openssl pkeyutl -sign -rawin -inkey /dev/stdin -in SHA256SUMS -out SHA256SUMS.sig
printf '%s\n' "$key" | openssl pkey -in /dev/stdin -pubout -out SHA256SUMS.pub
openssl pkeyutl -verify -rawin -pubin -inkey SHA256SUMS.pub -in SHA256SUMS -sigfile SHA256SUMS.sig
