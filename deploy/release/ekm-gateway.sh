#!/bin/sh
# Runs ekm-gateway with the Node.js beside it, from any directory and through any link.
# The options for V8 are those of adapters/contract/node-arguments.ts, which gives the reasons.
lib=$(dirname "$(readlink -f "$0")")/../lib
exec "$lib/node" --v8-pool-size=1 --max-semi-space-size=16 "$lib/app/dist/programs/cli.js" "$@"
