import type { Stats } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { systemCode } from '../../../adapters/contract/index.ts'
import { openDirectories, type OpenDirectory } from '../../settings/file-modes.ts'
import { isLoopback } from '../../base/loopback.ts'
import { ConfigInvalid, loadConfig, type Environment } from '../../config/load.ts'
import type { Config } from '../../config/schema.ts'
import { descriptorLimit } from '../../base/descriptor-limit.ts'
import { descriptorsNeeded, RAISE_LIMIT } from '../../gateway/descriptors.ts'
import type { Findings } from './findings.ts'
import { quoted } from '../../base/shell.ts'
import { count } from '../../base/words.ts'
import type { NamedFile } from './written-settings.ts'

/** Reports every error in the configuration, line by line. Undefined if the configuration cannot be used. */
export function checkConfiguration(file: string, environment: Environment, findings: Findings): Config | undefined {
  try {
    const config = loadConfig(file, environment)
    const counts = `${count(config.pools.length, 'pool')}, ${count(Object.keys(config.backends).length, 'backend')}`
    findings.ok('configuration.valid', `${file} is valid: ${counts}`)
    return config
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error
    for (const { where, line, path, message } of error.problems) {
      findings.problem('configuration.valid', `${path} ${message}`, {
        subject: line === undefined ? where : `${where}:${line}`,
        advice: line === undefined ? 'correct it, then check again' : 'correct this line, then check again',
      })
    }
    return undefined
  }
}

/** Reports a setting that is valid but should not be used in production. */
export function checkClientAuth({ listen }: Config, findings: Findings): void {
  if (listen.clientAuth !== 'disabled') findings.ok('configuration.client-auth', 'clients must show a certificate')
  else {
    const found = 'listen.clientAuth is disabled: anyone who reaches the port can wrap and unwrap with every key'
    const more = { advice: 'set listen.clientAuth to required; disabled is for development only' }
    if (isLoopback(listen.host)) findings.warning('configuration.client-auth', found, more)
    else findings.problem('configuration.client-auth', found, more)
  }
}

/** Status and metrics are no secret, and the operator's business all the same. */
export function checkAdmin({ admin }: Config, findings: Findings): void {
  if (admin === undefined) findings.ok('configuration.admin', 'there is no admin port')
  else if (admin.token !== undefined) findings.ok('configuration.admin', 'the admin port asks for a token')
  else if (isLoopback(admin.host)) findings.ok('configuration.admin', 'the admin port is for this machine alone')
  else {
    findings.warning('configuration.admin', `admin.host is ${admin.host}: whoever reaches the port can read it`, {
      advice: 'set admin.token, or see to it that a firewall lets only probes and Prometheus reach the port',
    })
  }
}

const GROUP_AND_OTHERS = 0o077
const GROUP_OR_OTHERS_WRITE = 0o022
const OTHERS_WRITE = 0o002

/** Finds out who else can read the secrets or change what is trusted. configuration.valid reports missing files. */
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
    // `serve` refuses a configuration with such a file.
    const status = (stats.mode & OTHERS_WRITE) === 0 ? 'warning' : 'problem'
    if (holds === 'secret' && (stats.mode & GROUP_AND_OTHERS) !== 0) {
      open.secret += 1
      findings[status]('secrets.permissions', `other users can read or change the secret ${setting} (mode ${mode})`, {
        ...more,
        advice: 'allow only its owner to read and write it',
        command: `chmod 600 ${quoted(path)}`,
      })
    } else if ((stats.mode & GROUP_OR_OTHERS_WRITE) !== 0) {
      open.trust += 1
      findings[status]('configuration.writable', `other users can change ${setting} (mode ${mode})`, {
        ...more,
        advice: 'allow only its owner to write',
        command: `chmod go-w ${quoted(path)}`,
      })
    }
  }
  for (const directory of directories.values()) tellDirectory(directory, findings)
  open.trust += directories.size
  if (open.secret === 0)
    findings.ok('secrets.permissions', `${count(counts.secret, 'secret file')}, readable by the owner alone`)
  if (open.trust === 0)
    findings.ok('configuration.writable', `${count(counts.trust, 'file')}, writable by the owner alone`)
}

function tellDirectory({ path, mode, isVolume }: OpenDirectory, findings: Findings): void {
  findings[isVolume ? 'warning' : 'problem'](
    'configuration.writable',
    `every user can replace files in this directory (mode ${mode})`,
    {
      subject: path,
      fields: { mode },
      advice: isVolume ? 'set the sticky bit of the volume' : 'allow only its owner to write',
      command: `chmod ${isVolume ? '+t' : 'o-w'} ${quoted(path)}`,
    },
  )
}

const look = (path: string): Promise<Stats | undefined> => stat(path).catch(() => undefined)

/** Asks for permission, but writes nothing. */
export async function checkLog({ log: { destination } }: Config, findings: Findings): Promise<void> {
  if (destination === 'stdout' || destination === 'stderr') {
    findings.ok('configuration.log', `the log goes to ${destination}`)
    return
  }
  const mayWrite = (path: string) => access(path, constants.W_OK).then(() => undefined, systemCode)
  const isThere = (await look(destination)) !== undefined
  const code = await mayWrite(isThere ? destination : dirname(destination))
  if (code === undefined) findings.ok('configuration.log', `the log goes to ${destination}, which is writable`)
  else {
    findings.problem('configuration.log', `the log cannot be written to ${destination} (${code})`, {
      advice: "make the file or its directory writable for the gateway's user",
      command: `ls -ld ${quoted(isThere ? destination : dirname(destination))}`,
    })
  }
}

/** A limit of this process, which a service that is started otherwise need not have. */
export async function checkDescriptors(config: Config, findings: Findings): Promise<void> {
  const { workers } = config
  const share = { index: 0, count: workers === 'auto' ? availableParallelism() : workers }
  const needed = descriptorsNeeded(config, share)
  const limit = await descriptorLimit()
  const more = { fields: { needed, ...(limit !== undefined && { limit }) } }
  if (limit === undefined) findings.notChecked('configuration.descriptors', 'the system does not tell the limit', more)
  else if (limit >= needed) {
    findings.ok('configuration.descriptors', `${limit} descriptors may be open, ${needed} may be needed`, more)
  } else {
    findings.warning(
      'configuration.descriptors',
      `${limit} descriptors may be open here, and ${needed} may be needed`,
      {
        ...more,
        advice: `unless the service has another limit than this command: ${RAISE_LIMIT}`,
        command: 'ulimit -Hn; systemctl show --property LimitNOFILE ekm-gateway',
      },
    )
  }
}
