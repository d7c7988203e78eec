import { randomBytes, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect } from 'vitest'
import { API, CONTEXT, send } from '../../support/https.ts'
import { freePort } from '../../kmip/pykmip.ts'
import { makeStore, PASSPHRASE } from '../../support/gateway.ts'
import { CLIENT_CN, makePki, type Pki } from '../../support/pki.ts'
import { makeWorkspace, type Workspace } from '../../support/workspace.ts'
import { Cli, run, type Ended } from '../cli.ts'
import { BASE, listeningPort } from '../serving.ts'

/** A directory with the output of `az` and nothing else, as at the start of an installation. */
export interface Site {
  readonly workspace: Workspace
  readonly pki: Pki
  readonly config: string
  /** A free one. */
  readonly port: string
  readonly remove: () => Promise<void>
}

export async function makeSite(): Promise<Site> {
  const [workspace, pki] = [await makeWorkspace(), await makePki()]
  await workspace.write(
    'azure-client.json',
    JSON.stringify({
      caCertificates: [new X509Certificate(pki.clientCa.certificate).raw.toString('base64')],
      subjectCommonName: CLIENT_CN,
    }),
  )
  const port = String(await freePort())
  return { workspace, pki, config: workspace.path('gateway.yaml'), port, remove: () => workspace.remove() }
}

/**
 * A site with a key store whose passphrase is cheap to stretch. A store that init makes costs half a second of the
 * processor each time that it is opened, and each run opens it twice.
 */
export async function makeSiteWithStore(): Promise<Site> {
  const site = await makeSite()
  await makeStore(site.workspace.path('keys'), [])
  await site.workspace.write('passphrase', `${PASSPHRASE}\n`)
  return site
}

export type Flags = Readonly<Record<string, string>>

/** Answers that are the same for every backend. */
export const usual: Flags = {
  'hsm-name': 'contoso',
  'host-name': 'localhost',
  'listen-host': '127.0.0.1',
  'admin-port': 'none',
  'server-certificate': 'trial',
}

export const argumentsOf = (flags: Flags): string[] =>
  Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])

/** A run without a terminal. */
export const init = (
  { workspace, port }: Site,
  flags: Flags,
  more: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> =>
  run(['init', ...argumentsOf({ ...usual, port, ...flags }), ...more], { cwd: workspace.directory, environment })

/** Serves the written configuration, and wraps and unwraps a data key as Azure does. */
export async function wrapOnce(
  { config, pki }: Site,
  key: string,
  alg: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  // On a busy machine PyKMIP takes longer than Azure waits.
  const patience = { EKM_GATEWAY__LIMITS__DEADLINEMS: '20000' }
  const patient = { ...environment, ...patience, EKM_GATEWAY__LISTEN__PORT: '0' }
  const cli = new Cli(['serve', '--config', config], { environment: patient })
  try {
    const port = await listeningPort(cli)
    const certificate = await readFile(`${dirname(config)}/server-ca.pem`, 'utf8')
    const trusting = { ...pki, serverCa: { ...pki.serverCa, certificate } }
    const ask = async (operation: string, value: string) => {
      const body = { request_context: CONTEXT, alg, value }
      const path = `${BASE}/${key}/${operation}?${API}`
      const { status, json } = await send(port, trusting, { path, body })
      expect({ status, json }).toMatchObject({ status: 200 })
      return String(json['value'])
    }
    const dataKey = randomBytes(32).toString('base64url')
    const wrapped = await ask('wrapkey', dataKey)
    expect(wrapped).not.toContain(dataKey)
    expect(await ask('unwrapkey', wrapped)).toBe(dataKey)
  } finally {
    cli.kill('SIGTERM')
    cli.kill()
    await cli.ended
  }
}
