import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isWrapAlgorithm, Secret, wrapAlgorithms, type KeyRef } from '../../adapters/contract/index.ts'
import { open, type KmipOptions } from '../../adapters/kmip/index.ts'
import { state } from '../../adapters/kmip/protocol/numbers.ts'
import { destroy, getAttributes } from '../../adapters/kmip/protocol/objects.ts'
import { kmipVersions, type KmipVersion } from '../../adapters/kmip/protocol/version.ts'
import { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import { describeAdapter } from '../contract/suite.ts'
import { registerKey, revoke } from '../kmip/register.ts'

/** A variable of the environment. Throws an error that explains the variable if it is not set. */
function wanted(name: string, what: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`set ${name} to ${what}`)
  return value
}

function serverOf(address: string): KmipOptions['servers'][number] {
  const { hostname, port } = new URL(`kmip://${address}`)
  return { host: hostname, port: port === '' ? 5696 : Number(port) }
}

function protocolOf(value: string): KmipVersion {
  const version = kmipVersions.find((known) => known === value)
  if (version === undefined) throw new Error(`EKM_KMIP_PROTOCOL must be one of ${kmipVersions.join(', ')}`)
  return version
}

const { EKM_KMIP_PROTOCOL: protocol, EKM_KMIP_ALGORITHMS: listed = wrapAlgorithms.join() } = process.env
const algorithms = listed.split(',').filter(isWrapAlgorithm)
if (algorithms.join() !== listed) throw new Error(`EKM_KMIP_ALGORITHMS must be some of ${wrapAlgorithms.join()}`)

const address = wanted('EKM_KMIP_SERVER', 'HOST:PORT of the key manager')
const options: KmipOptions = {
  servers: [serverOf(address)],
  tls: {
    ca: await readFile(wanted('EKM_KMIP_CA', 'a PEM file with the root of its certificate')),
    certificate: await readFile(wanted('EKM_KMIP_CERT', 'a PEM file with a client certificate that it takes')),
    key: new Secret(await readFile(wanted('EKM_KMIP_KEY', 'a PEM file with the private key of that certificate'))),
  },
  ...(protocol !== undefined && { protocol: protocolOf(protocol) }),
}

const signal = () => AbortSignal.timeout(30_000)

describeAdapter({
  name: `the key manager at ${address}`,
  algorithms,
  canDisable: true,
  // A key past its Deactivation Date may still unwrap, so that the suite does not count it as expired.
  dates: ['notBefore'],
  start: async (keys) => {
    const prefix = `ekm-test-${randomBytes(4).toString('hex')}-`
    const cluster = new KmipCluster(options, () => undefined)
    const made: string[] = []
    const removeAll = async () => {
      for (const id of made) {
        const { state: current } = await cluster.call(getAttributes(id, ['State']), signal())
        if (current === state.Active) await cluster.call(revoke(id, 1), signal())
        await cluster.call(destroy(id), signal())
      }
      cluster.close()
    }
    try {
      for (const key of keys) made.push(...(await registerKey(cluster, prefix + key.name, key, 'revoke')))
      const adapter = await open(options, (level, event, fields) => {
        process.stdout.write(`${level} ${event} ${JSON.stringify(fields)}\n`)
      })
      return {
        adapter,
        ref: (name) => (prefix + name) as KeyRef,
        stop: async () => {
          await adapter.close()
          await removeAll()
        },
      }
    } catch (error) {
      await removeAll()
      throw error
    }
  },
})
