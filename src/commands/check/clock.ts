import { execFile } from 'node:child_process'
import type { X509Certificate } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { Findings } from './findings.ts'
import { dayOf, nameOf, validityOf } from './x509.ts'
import type { NamedFile } from './written-settings.ts'

/** Milliseconds. A file that is newer than now by more than this shows that the clock is or was behind. */
const TOLERANCE_MS = 5 * 60_000
const ANSWER_MS = 3000

/** What to do about a certificate where {@link isClockInDoubt}. */
export const CLOCK_FIRST = 'is the clock right? see clock.plausible'

/** Whether {@link suspectClock} said so. */
export const isClockInDoubt = ({ all }: Findings): boolean =>
  all.some(({ id, status }) => id === 'clock.plausible' && status === 'problem')

/**
 * Reports the clock if none of several certificates is valid now: the clock is then the likelier fault. It runs before a
 * certificate is judged.
 */
export function suspectClock(certificates: readonly X509Certificate[], findings: Findings): void {
  const states = certificates.map((certificate) => validityOf(certificate).state)
  if (states.length < 2 || states.some((state) => state === 'valid' || state === 'ends soon')) return
  const from = new Date(Math.max(...certificates.map(({ validFrom }) => Date.parse(validFrom))))
  const to = new Date(Math.min(...certificates.map(({ validTo }) => Date.parse(validTo))))
  const when = from < to ? `; all are from ${dayOf(from)} to ${dayOf(to)}` : ''
  const found = `it is ${new Date().toISOString()}, and none of ${states.length} certificates is valid${when}`
  findings.problem('clock.plausible', found, {
    advice: 'look at the clock first, and set it if it is wrong; only if it is right, renew the certificates',
    command: 'date -u',
  })
}

/** Checks the clock without asking anyone outside. */
export async function checkClock(
  certificates: readonly X509Certificate[],
  files: readonly NamedFile[],
  findings: Findings,
): Promise<void> {
  await checkPlausibility(certificates, files, findings)
  await checkSynchronisation(findings)
}

async function checkPlausibility(
  certificates: readonly X509Certificate[],
  files: readonly NamedFile[],
  findings: Findings,
): Promise<void> {
  const now = Date.now()
  const utc = new Date(now).toISOString()
  const advice = 'set the clock, and keep it by NTP: a wrong clock makes the gateway refuse certificates and keys'
  const before = findings.all.length
  for (const certificate of certificates) {
    const from = Date.parse(certificate.validFrom)
    if (from <= now) continue
    const found = `it is ${utc}, but the certificate ${nameOf(certificate)} is valid from ${new Date(from).toISOString()}`
    findings.warning('clock.plausible', found, { advice, command: 'date -u' })
  }
  for (const { path } of files) {
    const changed = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    )
    if (changed <= now + TOLERANCE_MS) continue
    const found = `it is ${utc}, but ${path} was changed on ${new Date(changed).toISOString()}`
    findings.warning('clock.plausible', found, { advice, command: 'date -u' })
  }
  if (findings.all.length === before) {
    findings.ok(
      'clock.plausible',
      `${utc} is later than the start of every certificate and the last change of every file`,
    )
  }
}

/** systemd asks the kernel, so it does not matter which program sets the clock. */
async function checkSynchronisation(findings: Findings): Promise<void> {
  const answer = await new Promise<string>((resolve) => {
    const args = ['show', '--property=NTPSynchronized', '--value']
    execFile('timedatectl', args, { timeout: ANSWER_MS }, (error, stdout) => resolve(error ? '' : stdout.trim()))
  })
  if (answer === 'yes') findings.ok('clock.synchronised', 'the kernel says that the clock is synchronised')
  else if (answer === 'no') {
    findings.warning('clock.synchronised', 'the kernel says that the clock is not synchronised', {
      advice: 'have a time service set the clock',
      command: 'timedatectl set-ntp true',
    })
  } else {
    findings.notChecked('clock.synchronised', 'timedatectl is not available', {
      advice: 'ask the time service, or on the host of this container',
      command: 'chronyc tracking',
    })
  }
}
