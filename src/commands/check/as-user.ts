import { statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, parse } from 'node:path'
import { systemCode } from '../../../adapters/contract/index.ts'
import { CouldNotRun } from './could-not-run.ts'
import type { Findings } from './findings.ts'

/** By the group, or by everybody. */
const READ_BY_OTHERS = 0o044
const ENTERED_BY_OTHERS = 0o011

/** Node.js has it, and its types leave it out. */
type WithGroups = NodeJS.Process & { readonly initgroups?: (user: string, group: number) => void }

/**
 * Runs the rest of this process as another user, with that user's groups.
 * @returns the user's name
 * @throws CouldNotRun
 */
export function becomeUser(name: string): string {
  const { geteuid, seteuid, initgroups, setgid, setuid } = process as WithGroups
  if (geteuid?.() !== 0 || seteuid === undefined) throw new CouldNotRun('--as is for root alone: try it with sudo')
  try {
    const id = /^\d+$/.test(name) ? Number(name) : name
    seteuid(id)
    const { uid, gid, username, homedir } = userInfo()
    seteuid(0)
    initgroups?.(username, gid)
    setgid?.(gid)
    setuid?.(uid)
    // Libraries of HSMs look for files there.
    Object.assign(process.env, { HOME: homedir, USER: username, LOGNAME: username })
    return username
  } catch (error) {
    seteuid(0)
    throw new CouldNotRun(`--as ${name}: there is no such user (${systemCode(error)})`)
  }
}

/** What root alone may use on the way to a file, or the file itself, in words. Undefined if there is no such. */
export function rootsAlone(path: string): string | undefined {
  const isRoots = (at: string, bits: number) => {
    const stats = statSync(at, { throwIfNoEntry: false })
    return stats?.uid === 0 && (stats.mode & bits) === 0
  }
  const { root } = parse(path)
  for (let at = dirname(path); at !== root; at = dirname(at)) {
    if (isRoots(at, ENTERED_BY_OTHERS)) return `root alone can enter ${at}`
  }
  return isRoots(path, READ_BY_OTHERS) ? `root alone can read ${path}` : undefined
}

/** Root reads every file, and so it cannot tell what the gateway's own user reads. */
export function checkUser(as: string | undefined, findings: Findings): void {
  const uid = process.geteuid?.()
  if (as !== undefined) findings.ok('configuration.user', `all is looked at as ${as}`)
  else if (uid !== 0) findings.ok('configuration.user', 'all is looked at as the user who runs this command')
  else {
    findings.notChecked(
      'configuration.user',
      "root may read every file; whether the gateway's user may cannot be seen",
      {
        advice: 'unless the gateway runs as root, too, give its user as --as USER',
      },
    )
  }
}
