import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Daemon } from './daemon.ts'
import { initToken, needed, type DeviceKind } from './device-kind.ts'

const SOCKET = '/run/pkcsslotd.socket'
export const CONFIGURATION = '/etc/opencryptoki/opencryptoki.conf'
const FOUND = `${CONFIGURATION}.found`
/** One slot for each use: a token whose PINs are set is no longer empty. */
const names = Array.from({ length: 8 }, (_, index) => `ekm-test-${index + 1}`)
const placesOf = (name: string) => [`/var/lib/opencryptoki/${name}`, `/var/lock/opencryptoki/${name}`]

let daemon: Daemon | undefined
let made = 0

/** Replaces this machine's configuration by empty software tokens. */
async function configure(): Promise<Daemon> {
  const slots = names.map((name, index) => `slot ${index}\n{\nstdll = libpkcs11_sw.so\ntokname = ${name}\n}\n`)
  renameSync(CONFIGURATION, FOUND)
  writeFileSync(CONFIGURATION, `version opencryptoki-3.8\n${slots.join('')}`)
  removePlaces()
  for (const name of names) makePlaces(name)
  const started = new Daemon('/usr/sbin/pkcsslotd', ['-f'], () => existsSync(SOCKET))
  await started.start()
  return started
}

const removePlaces = () => {
  for (const place of names.flatMap(placesOf)) rmSync(place, { recursive: true, force: true })
}

function makePlaces(name: string): void {
  const group = Number(/^pkcs11:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'utf8'))?.[1])
  const [data = '', lock = ''] = placesOf(name)
  for (const place of [data, `${data}/TOK_OBJ`, lock]) {
    mkdirSync(place)
    chownSync(place, 0, group)
    chmodSync(place, 0o770)
  }
}

export const opencryptokiTokens: DeviceKind = {
  product: { vendor: 'IBM Corp.', name: 'IBM SoftTok 1.0' },
  dates: ['notBefore', 'expires'],
  make: async () => {
    const module = needed('/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so.0', 'opencryptoki')
    daemon ??= await configure()
    const index = made++
    const label = `ekm-${made}`
    initToken({ module }, label, index, '87654321')
    const running = daemon
    return {
      module,
      label,
      takeAway: async () => {
        await running.kill()
        rmSync(SOCKET, { force: true })
      },
      giveBack: () => running.start(),
      remove: () => undefined,
    }
  },
}

/** Restores this machine's configuration, also after a killed run. */
export async function stopOpencryptoki(): Promise<void> {
  await daemon?.kill('SIGTERM')
  removePlaces()
  if (existsSync(FOUND)) renameSync(FOUND, CONFIGURATION)
}
