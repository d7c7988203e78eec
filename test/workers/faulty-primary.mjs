import { fileURLToPath } from 'node:url'
import { Variables } from '../../dist/src/settings/variables.js'
import { startService } from '../../dist/src/service/start.js'

const exec = fileURLToPath(new URL('faulty-worker.mjs', import.meta.url))
const prepareMs = Number(process.env['PREPARE_MS'] ?? 1000)
const pingMs = Number(process.env['PING_MS'] ?? 2000)
const service = await startService(process.argv[2], new Variables(process.env), { exec, prepareMs, pingMs })
process.on('SIGHUP', () => void service.reload('SIGHUP'))
process.on('SIGTERM', () => void service.drain().then(() => process.exit(0)))
