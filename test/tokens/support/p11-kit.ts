import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MODULE, softHsm, softHsmTokens } from '../../pkcs11/support/softhsm.ts'
import { Daemon } from './daemon.ts'
import { needed, type DeviceKind } from './device-kind.ts'

/** SoftHSM in a p11-kit server, which is killed and started again. */
export const p11KitTokens: DeviceKind = {
  ...softHsmTokens,
  make: async () => {
    const module = needed('/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so', 'p11-kit')
    const server = needed('/usr/libexec/p11-kit/p11-kit-server', 'p11-kit')
    const hsm = softHsm()
    hsm.initToken('ekm')
    const directory = mkdtempSync(join(tmpdir(), 'ekm-p11-kit-'))
    const socket = join(directory, 'socket')
    const options = ['--foreground', '--provider', MODULE, '--name', socket, 'pkcs11:token=ekm?write-protected=no']
    const daemon = new Daemon(server, options, () => existsSync(socket))
    await daemon.start()
    process.env['P11_KIT_SERVER_ADDRESS'] = `unix:path=${socket}`
    const takeAway = async () => {
      await daemon.kill()
      rmSync(socket, { force: true })
    }
    return {
      module,
      label: 'ekm',
      takeAway,
      giveBack: () => daemon.start(),
      remove: async () => {
        await takeAway()
        rmSync(directory, { recursive: true, force: true })
        hsm.remove()
      },
    }
  },
}
