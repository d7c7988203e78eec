import { open as openFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { OperatorError, Secret, secretFlaw, secretLength, wipeableCopy, WRITE_SECRET } from '../../contract/index.ts'
import type { Pkcs11Options } from '../options.ts'
import { parsePkcs11Uri, Pkcs11UriError, type Pkcs11Uri } from './pkcs11-uri.ts'
import { assertTrusted } from '../trusted-file.ts'

const MAX_PIN_BYTES = 1024

/**
 * Reads a `pkcs11:` URI that names a token, for a configuration with a URI instead of separate settings. It may have
 * `token`, `serial`, `slot-id`, `module-path`, and `pin-source`, a path or `file:` URI of a file with the PIN (RFC 7512
 * §2.4; a line end at the end of that file is not part of the PIN). `pin-value` and a `|command` are refused.
 */
export async function readBackendUri(text: string): Promise<Partial<Pick<Pkcs11Options, 'module' | 'token' | 'pin'>>> {
  const uri = parse(text)
  const { token: label, serial, slotId: slot, modulePath: module, pinSource } = uri
  if (uri.object !== undefined || uri.id !== undefined || uri.type !== undefined) {
    throw invalid('object, id and type name a key, not a token')
  }
  if (uri.moduleName !== undefined || uri.manufacturer !== undefined || uri.model !== undefined) {
    throw invalid('the attributes for a backend are module-path, token, serial and slot-id')
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

/** {@link Pkcs11Options} that name the token by settings or by a URI for {@link readBackendUri}. */
export type Pkcs11Settings = Omit<Pkcs11Options, 'token'> & { readonly token: Pkcs11Options['token'] | string }

/**
 * Resolves the URI, if there is one.
 * @throws OperatorError
 */
export async function resolveSettings({ token: given, ...options }: Pkcs11Settings): Promise<Pkcs11Options> {
  if (typeof given !== 'string') return { ...options, token: given }
  const { token, module = options.module, pin = options.pin } = await readBackendUri(given)
  if (token === undefined) throw invalid('it must say which token: token, serial or slot-id')
  if (module !== options.module) throw invalid('its module-path is not the module of the configuration')
  if (options.pin !== undefined && pin !== options.pin)
    throw invalid('the PIN is given twice: by pin-source and by pin')
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
  if (source.startsWith('|')) throw invalid('pin-source is a command, and the gateway runs none')
  const path = source.startsWith('file:') ? filePath(source) : source
  const unreadable = new OperatorError('FILE_UNREADABLE', `the PIN file ${path} of pin-source cannot be read`)
  const file = await openFile(path).catch(() => {
    throw unreadable
  })
  const bytes = Buffer.alloc(MAX_PIN_BYTES + 1)
  try {
    await assertTrusted(path, file)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    const content = bytes.subarray(0, bytesRead)
    const end = secretLength(content)
    if (end < 1 || end > MAX_PIN_BYTES) throw new OperatorError('FILE_KIND', `${path} does not hold a PIN`)
    const flaw = secretFlaw(content)
    if (flaw !== undefined) throw new OperatorError('SECRET_FILE_FLAWED', `${path} ${flaw}: ${WRITE_SECRET}`)
    return new Secret(wipeableCopy(content.subarray(0, end)))
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
