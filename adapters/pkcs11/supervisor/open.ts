import { constants } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { OperatorError, type Report } from '../../contract/index.ts'
import { callTimeoutOf, checkOptions, tokenSelector, type Pkcs11Options } from '../options.ts'
import { Supervisor } from './supervisor.ts'
import { assertTrusted } from '../trusted-file.ts'

/** ELF e_machine (System V ABI) of the processors that Node.js runs on, by `process.arch`. */
const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183, ia32: 3, arm: 40, ppc64: 21, s390x: 22 }
const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1')

/**
 * Opens the token in one HSM host.
 * @throws OperatorError that says what is missing
 */
export async function openSupervisor(
  options: Pkcs11Options,
  { readWrite }: { readonly readWrite: boolean },
  report: Report,
): Promise<Supervisor> {
  checkOptions(options)
  await checkModule(options.module)
  const { module, libraryParameters, pin } = options
  const open = {
    binding: 'pkcs11js',
    module,
    token: tokenSelector(options),
    readWrite,
    ...(libraryParameters !== undefined && { libraryParameters }),
  }
  return Supervisor.open({ open, pin, callTimeoutMs: callTimeoutOf(options) }, report)
}

/** Opening a pipe does not wait until somebody writes into it. */
const AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * Detects the two mistakes that a loader's message explains badly: no such file, and a library for another processor.
 */
export async function checkModule(path: string): Promise<void> {
  const file = await openFile(path, AT_ONCE).catch(() => {
    throw new OperatorError(
      'MODULE_MISSING',
      `there is no readable PKCS#11 module at ${path}: install the vendor's client software (for SoftHSM: apt-get ` +
        'install softhsm2, then /usr/lib/softhsm/libsofthsm2.so) and set module to its library',
    )
  })
  try {
    if (!(await file.stat()).isFile()) throw new OperatorError('MODULE_UNUSABLE', `${path} is not a shared library`)
    // Whoever can change the module gets the PIN.
    await assertTrusted(path, file)
    const header = Buffer.alloc(20)
    const { bytesRead } = await file.read(header, 0, header.length, 0)
    if (process.platform !== 'linux') return
    if (bytesRead < header.length || !header.subarray(0, 4).equals(ELF_MAGIC)) {
      throw new OperatorError('MODULE_UNUSABLE', `${path} is not a shared library`)
    }
    const littleEndian = header[5] === 1
    const machine = littleEndian ? header.readUInt16LE(18) : header.readUInt16BE(18)
    if (machine !== machines[process.arch]) {
      throw new OperatorError(
        'MODULE_ARCHITECTURE',
        `${path} was built for another processor (ELF machine ${machine}): install the vendor's ${process.arch} library`,
      )
    }
  } catch (error) {
    if (error instanceof OperatorError) throw error
    throw new OperatorError('MODULE_UNUSABLE', `${path} is not a shared library`)
  } finally {
    await file.close()
  }
}
