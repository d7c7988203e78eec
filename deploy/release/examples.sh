#!/bin/sh
# DIRECTORY: puts what an operator adapts there: balancers, alert rules, dashboards, log shipping, a sandbox for vendors, a
# trial in containers, manifests and values for Kubernetes.
set -eu
mkdir -p "$1"
cp -R deploy/haproxy deploy/nginx deploy/prometheus deploy/grafana deploy/rsyslog deploy/systemd/vendor-pkcs11.conf "$1/"
cp -R deploy/compose deploy/compose.yaml deploy/kubernetes deploy/helm/example-values.yaml "$1/"
find "$1" -type d -exec chmod 755 {} +
find "$1" -type f -exec chmod 644 {} +
