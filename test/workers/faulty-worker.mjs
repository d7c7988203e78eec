import cluster from 'node:cluster'
import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { OperatorError } from '../../dist/adapters/contract/index.js'
import { openBackend } from '../../dist/src/backends/index.js'
import { runWorker } from '../../dist/src/service/workers/worker.js'

/**
 * The second worker cannot open the store `keys-2`, and no worker can open `keys-3`. The first worker announces that it
 * is about to open `keys-5`, and waits for permission.
 */
await runWorker(async (settings, report) => {
  const second = cluster.worker?.id === 2
  if (second && settings.directory.endsWith('keys-2')) throw new OperatorError('TEST_FAULT', 'the second worker fails')
  if (second && settings.directory.endsWith('keys-3')) await new Promise(() => undefined)
  if (cluster.worker?.id === 1 && settings.directory.endsWith('keys-5')) {
    writeFileSync(`${settings.directory}.waiting`, '')
    while (!existsSync(`${settings.directory}.go`)) await setTimeout(10)
  }
  return openBackend(settings, report)
})
