#!/bin/sh
# Installs on Debian everything that `npm run test:tokens` needs, or only the named tokens: kryoptic, opencryptoki, p11-kit, tpm2-pkcs11.
# Kryoptic comes from crates.io, and needs Rust's cargo.
set -eu
[ $# -gt 0 ] || set -- kryoptic opencryptoki p11-kit tpm2-pkcs11

install() { apt-get install -qq -y --no-install-recommends "$@" >/dev/null; }

kryoptic() {
  install libssl-dev libsqlite3-dev clang libclang-dev pkg-config
  command -v cargo >/dev/null || install cargo
  directory=$(mktemp -d)
  (
    cd "$directory"
    cargo init -q --lib --name fetch-kryoptic
    cargo add -q kryoptic@1.5.4
    cargo vendor -q >/dev/null
    cp -r vendor/kryoptic kryoptic
    printf '\n[workspace]\n' >>kryoptic/Cargo.toml
    cd kryoptic
    cargo build -q --release --no-default-features --features minimal,kryoptic-lib/dynamic
    cp target/release/libkryoptic_pkcs11.so "${EKM_KRYOPTIC:-/usr/local/lib/libkryoptic_pkcs11.so}"
  )
  rm -rf "$directory"
}

apt-get update -qq
for token in "$@"; do
  case $token in
    kryoptic) kryoptic ;;
    opencryptoki) install opencryptoki libopencryptoki0 ;;
    p11-kit) install p11-kit p11-kit-modules softhsm2 ;;
    tpm2-pkcs11) install libtpm2-pkcs11-1 libtpm2-pkcs11-tools libtss2-tcti-tabrmd0 swtpm tpm2-abrmd dbus-daemon ;;
    *) echo "unknown: $token" >&2; exit 1 ;;
  esac
done
