import { execFileSync } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestKey } from '../../contract/harness.ts'
import { PIN } from '../../pkcs11/support/softhsm.ts'
import { Daemon } from './daemon.ts'
import { initToken, needed, type DeviceKind } from './device-kind.ts'

const IMPORT = fileURLToPath(new URL('tpm2-import.py', import.meta.url))
const LABEL = 'ekm'

/** A separate software TPM behind its resource manager, which is killed and started again. */
export const tpm2Tokens: DeviceKind = {
  product: { vendor: 'IBM', name: 'SW   TPM 25.35' },
  dates: [],
  // The TPM generates keys of 3072 bits, but tpm2_import takes none.
  rsaSizes: [2048],
  longestDataKey: 72,
  pace: { ratePerSecond: 3, deadlineMs: 2000 },
  make: async () => {
    const module = needed('/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so', 'tpm2-pkcs11')
    const directory = mkdtempSync(join(tmpdir(), 'ekm-tpm2-'))
    const place = (name: string) => join(directory, name)
    for (const name of ['state', 'store']) mkdirSync(place(name))
    const bus = busDaemon(place('bus'))
    const tpm = tpmDaemon(place('state'), place('tpm'))
    const broker = brokerDaemon(place('tpm'))
    process.env['DBUS_SESSION_BUS_ADDRESS'] = `unix:path=${place('bus')}`
    process.env['TPM2_PKCS11_STORE'] = place('store')
    for (const user of ['TPM2_PKCS11', 'TPM2TOOLS']) process.env[`${user}_TCTI`] = 'tabrmd:bus_type=session'
    process.env['TSS2_LOG'] = 'all+none'
    for (const daemon of [bus, tpm, broker]) await daemon.start()
    initToken({ module }, LABEL)
    return {
      module,
      label: LABEL,
      put: (keys) => importKeys(place('store'), keys),
      takeAway: () => tpm.kill(),
      giveBack: () => tpm.start(),
      remove: async () => {
        for (const daemon of [broker, tpm, bus]) await daemon.kill()
        rmSync(directory, { recursive: true, force: true })
      },
    }
  },
}

const busDaemon = (socket: string) =>
  new Daemon(
    needed('/usr/bin/dbus-daemon', 'tpm2-pkcs11'),
    ['--session', '--nofork', '--nopidfile', `--address=unix:path=${socket}`],
    () => existsSync(socket),
  )

const tpmDaemon = (state: string, socket: string) =>
  new Daemon(
    needed('/usr/bin/swtpm', 'tpm2-pkcs11'),
    ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'not-need-init,startup-clear'].concat([
      '--server',
      `type=unixio,path=${socket}`,
      '--ctrl',
      `type=unixio,path=${socket}.ctrl`,
    ]),
    () => existsSync(socket),
  )

const brokerDaemon = (tpm: string) =>
  new Daemon(
    needed('/usr/sbin/tpm2-abrmd', 'tpm2-pkcs11'),
    ['--session', '--allow-root', `--tcti=swtpm:path=${tpm}`],
    () => succeeds('tpm2_getrandom', ['--hex', '1']),
  )

function succeeds(command: string, options: readonly string[]): boolean {
  try {
    execFileSync(command, options, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The library itself cannot import a key of known value. */
function importKeys(store: string, keys: readonly TestKey[]): void {
  const input = JSON.stringify({
    store,
    token: LABEL,
    pin: PIN,
    keys: keys.map(({ name, material }) => ({
      label: name,
      ...(material.kty === 'oct'
        ? { algorithm: 'aes', material: Buffer.from(material.k).toString('hex') }
        : { algorithm: 'rsa', material: Buffer.from(pkcs1(material.jwk)).toString('hex') }),
    })),
  })
  // Debian's own Python, which has the package.
  execFileSync('/usr/bin/python3', [IMPORT], { input, stdio: 'pipe' })
}

const pkcs1 = (jwk: object) =>
  createPrivateKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'pkcs1', format: 'pem' })
