#!/bin/sh
# Runs ekm-gateway with the Node.js beside it, from any directory and through any link.
lib=$(dirname "$(readlink -f "$0")")/../lib
exec "$lib/node" "$lib/app/dist/src/cli.js" "$@"
