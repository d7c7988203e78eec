#!/bin/sh
# Runs ekm-gateway with the Node.js beside it, from any directory and through any link.
# One V8 thread is enough: four would take the only core of a small machine from a gateway that has just begun.
lib=$(dirname "$(readlink -f "$0")")/../lib
exec "$lib/node" --v8-pool-size=1 "$lib/app/dist/programs/cli.js" "$@"
