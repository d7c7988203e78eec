import { access, constants, stat, type Stats } from 'node:fs'
import { isIP } from 'node:net'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { systemCode } from '../../../adapters/contract/index.ts'
import { openDirectories, type OpenDirectory } from '../../settings/file-modes.ts'
import { ConfigInvalid, loadConfig, type Environment } from '../../config/load.ts'
import type { Config } from '../../config/schema.ts'
import type { Findings } from './findings.ts'
import { count, quoted } from './words.ts'
import type { NamedFile } from './written-settings.ts'

/** Tells everything that is wrong with the configuration, line by line; `undefined` if it cannot be used. */
export function checkConfiguration(file: string, environment: Environment, findings: Findings): Config | undefined {
  try {
    const config = loadConfig(file, environment)
    const counts = `${count(config.pools.length, 'pool')}, ${count(Object.keys(config.backends).length, 'backend')}`
    findings.ok('configuration.valid', `${file} is valid: ${counts}`)
    return config
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error
    for (const { source, line, path, message } of error.problems) {
      findings.problem('configuration.valid', `${path} ${message}`, {
        subject: line === undefined ? source : `${source}:${line}`,
        advice: line === undefined ? 'put it right, and check again' : 'put this line right, and check again',
      })
    }
    return undefined
  }
}

/** A setting that is right by itself and should not be found where it counts. */
export function checkClientAuth({ listen }: Config, findings: Findings): void {
  if (listen.clientAuth !== 'disabled') findings.ok('configuration.client-auth', 'clients must show a certificate')
  else {
    const found = 'listen.clientAuth is disabled: whoever reaches the port can wrap and unwrap with every key'
    const more = { advice: 'for development only; set listen.clientAuth to required' }
    if (isLoopback(listen.host)) findings.warning('configuration.client-auth', found, more)
    else findings.problem('configuration.client-auth', found, more)
  }
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

const GROUP_AND_OTHERS = 0o077
const GROUP_OR_OTHERS_WRITE = 0o022
const OTHERS_WRITE = 0o002

/** Who else can read the secrets, and change what is trusted. Files that are not there are the configuration's problem. */
export async function checkFiles(files: readonly NamedFile[], findings: Findings): Promise<void> {
  const counts = { secret: 0, trust: 0 }
  const open = { secret: 0, trust: 0 }
  const directories = new Map<string, OpenDirectory>()
  for (const { setting, path, holds } of files) {
    const stats = await look(path)
    if (stats === undefined) continue
    counts[holds] += 1
    for (const directory of openDirectories(path)) directories.set(directory.path, directory)
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
    const more = { subject: path, fields: { setting, mode } }
    // A configuration with such a file is not served.
    const status = (stats.mode & OTHERS_WRITE) === 0 ? 'warning' : 'problem'
    if (holds === 'secret' && (stats.mode & GROUP_AND_OTHERS) !== 0) {
      open.secret += 1
      findings[status]('secrets.permissions', `${setting} is a secret that other users can get at (mode ${mode})`, {
        ...more,
        advice: 'leave it to its owner alone',
        command: `chmod 600 ${quoted(path)}`,
      })
    } else if ((stats.mode & GROUP_OR_OTHERS_WRITE) !== 0) {
      open.trust += 1
      findings[status]('configuration.writable', `other users can change ${setting} (mode ${mode})`, {
        ...more,
        advice: 'leave writing to its owner',
        command: `chmod go-w ${quoted(path)}`,
      })
    }
  }
  for (const directory of directories.values()) tellDirectory(directory, findings)
  open.trust += directories.size
  if (open.secret === 0)
    findings.ok('secrets.permissions', `${count(counts.secret, 'secret file')}, for the owner alone`)
  if (open.trust === 0)
    findings.ok('configuration.writable', `${count(counts.trust, 'file')}, which only the owner can change`)
}

function tellDirectory({ path, mode, isVolume }: OpenDirectory, findings: Findings): void {
  findings[isVolume ? 'warning' : 'problem'](
    'configuration.writable',
    `every user can replace files in this directory (mode ${mode})`,
    {
      subject: path,
      fields: { mode },
      advice: isVolume ? 'use a volume with the sticky bit' : 'leave writing to its owner',
      command: `chmod ${isVolume ? '+t' : 'o-w'} ${quoted(path)}`,
    },
  )
}

const look = (path: string): Promise<Stats | undefined> => promisify(stat)(path).catch(() => undefined)

/** Asks for permission, and writes nothing. */
export async function checkLog({ log: { destination } }: Config, findings: Findings): Promise<void> {
  if (destination === 'stdout' || destination === 'stderr') {
    findings.ok('configuration.log', `the log goes to ${destination}`)
    return
  }
  const mayWrite = (path: string) => promisify(access)(path, constants.W_OK).then(() => undefined, systemCode)
  const isThere = (await look(destination)) !== undefined
  const code = await mayWrite(isThere ? destination : dirname(destination))
  if (code === undefined) findings.ok('configuration.log', `the log goes to ${destination}, which can be written`)
  else {
    findings.problem('configuration.log', `the log cannot be written to ${destination} (${code})`, {
      advice: "make it, or its directory, writable for the gateway's user",
      command: `ls -ld ${quoted(isThere ? destination : dirname(destination))}`,
    })
  }
}
