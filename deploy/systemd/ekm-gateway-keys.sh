#!/bin/sh
# Runs "ekm-gateway keys" on the configuration of the service, as the service's user and with its secrets. Files that it
# writes below /var/lib/ekm-gateway then belong to the service. Run it as root: ekm-gateway-keys create NAME --type oct
set -eu
unit=ekm-gateway-keys-$$
secrets=/etc/ekm-gateway/secrets
set -- -- ekm-gateway keys "$@" --config /etc/ekm-gateway/gateway.yaml
for secret in "$secrets"/*; do
  set -- --property="LoadCredential=$(basename "$secret"):$secret" "$@"
done
exec systemd-run --quiet --collect --pipe --wait --unit="$unit" \
  --property=DynamicUser=yes --property=User=ekm-gateway --property=StateDirectory=ekm-gateway \
  --property=StateDirectoryMode=0700 --property=UMask=0077 \
  --property="BindReadOnlyPaths=/run/credentials/$unit.service:$secrets" "$@"
