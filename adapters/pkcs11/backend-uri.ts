import { open as openFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { OperatorError, Secret, wipeableCopy } from '../contract/index.ts'
import type { Pkcs11Options } from './options.ts'
import { parsePkcs11Uri, Pkcs11UriError, type Pkcs11Uri } from './pkcs11-uri.ts'
import { assertTrusted } from './trusted-file.ts'

const MAX_PIN_BYTES = 1024

/**
 * Reads a `pkcs11:` URI that names a token, for a configuration that has one instead of separate settings: `token`,
 * `serial`, `slot-id`, `module-path`, and `pin-source`, a path or `file:` URI of a file that holds the PIN (RFC 7512
 * §2.4; a line's end at its end is not part of the PIN). `pin-value` is refused, and so is a `|command`.
 */
export async function readBackendUri(text: string): Promise<Partial<Pick<Pkcs11Options, 'module' | 'token' | 'pin'>>> {
  const uri = parse(text)
  const { token: label, serial, slotId: slot, modulePath: module, pinSource } = uri
  if (uri.object !== undefined || uri.id !== undefined || uri.type !== undefined) {
    throw invalid('object, id and type name a key, and belong to a key')
  }
  if (uri.moduleName !== undefined || uri.manufacturer !== undefined || uri.model !== undefined) {
    throw invalid('of the module and the token it can give module-path, token, serial and slot-id')
  }
  return {
    ...(module !== undefined && { module }),
    ...((label ?? serial ?? slot) !== undefined && {
      token: {
        ...(label !== undefined && { label }),
        ...(serial !== undefined && { serial }),
        ...(slot !== undefined && { slot }),
      },
    }),
    ...(pinSource !== undefined && { pin: await readPin(pinSource) }),
  }
}

/** {@link Pkcs11Options} with the token named as settings, or as the URI that {@link readBackendUri} reads. */
export type Pkcs11Settings = Omit<Pkcs11Options, 'token'> & { readonly token: Pkcs11Options['token'] | string }

/** Follows the URI, if there is one. Rejects with an {@link OperatorError}. */
export async function resolveSettings({ token: given, ...options }: Pkcs11Settings): Promise<Pkcs11Options> {
  if (typeof given !== 'string') return { ...options, token: given }
  const { token, module = options.module, pin = options.pin } = await readBackendUri(given)
  if (token === undefined) throw invalid('it must say which token: token, serial or slot-id')
  if (module !== options.module) throw invalid('its module-path is not the module of the configuration')
  if (options.pin !== undefined && pin !== options.pin) throw invalid('the PIN is given twice: pin-source, and pin')
  return { ...options, token, ...(pin && { pin }) }
}

const invalid = (message: string) =>
  new OperatorError('PKCS11_URI_INVALID', `the backend's pkcs11: URI is wrong: ${message}`)

function parse(text: string): Pkcs11Uri {
  try {
    return parsePkcs11Uri(text)
  } catch (error) {
    if (error instanceof Pkcs11UriError) throw invalid(error.message)
    throw error
  }
}

async function readPin(source: string): Promise<Secret> {
  if (source.startsWith('|')) throw invalid('a pin-source that is a command is not run')
  const path = source.startsWith('file:') ? filePath(source) : source
  const unreadable = new OperatorError('FILE_UNREADABLE', `the PIN file ${path} of pin-source cannot be read`)
  const file = await openFile(path).catch(() => {
    throw unreadable
  })
  const bytes = Buffer.alloc(MAX_PIN_BYTES + 1)
  try {
    await assertTrusted(path, file)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    let end = bytesRead
    if (bytes[end - 1] === 0x0a) end--
    if (bytes[end - 1] === 0x0d) end--
    if (end < 1 || end > MAX_PIN_BYTES) throw new OperatorError('FILE_KIND', `${path} does not hold a PIN`)
    return new Secret(wipeableCopy(bytes.subarray(0, end)))
  } catch (error) {
    throw error instanceof OperatorError ? error : unreadable
  } finally {
    bytes.fill(0)
    await file.close()
  }
}

function filePath(uri: string): string {
  try {
    return fileURLToPath(uri)
  } catch {
    throw invalid('pin-source is not a file: URI of this machine')
  }
}
