import { Command, InvalidArgumentError, Option } from 'commander'
import { OperatorError, rsaSizes, type KeyAdministration, type KeySummary } from '../../adapters/contract/index.ts'
import { didYouMean } from '../base/nearest.ts'
import { administerBackend } from '../backends/index.ts'
import { loadBackends } from '../config/load.ts'
import { Variables } from '../settings/variables.ts'
import { withExamples } from './help.ts'
import { print } from './terminal.ts'

interface BackendChoice {
  readonly config: string
  readonly backend?: string
}

interface Validity {
  readonly notBefore?: Date
  readonly expires?: Date
}

interface CreateOptions extends BackendChoice, Validity {
  readonly type: 'oct' | 'RSA'
  readonly size?: number
}

const command = (name: string, description: string, ...examples: readonly [string, ...string[]]) =>
  withExamples(new Command(name), ...examples)
    .description(description)
    .requiredOption('--config <file>', 'the configuration file; only its backends are read')
    .option('--backend <name>', 'the backend; needed only if there are several')

const withValidity = (target: Command) =>
  target
    .option(
      '--not-before <date>',
      'refuse the key before this UTC date or time, e.g. 2027-01-31 or 2027-01-31T12:00:00Z',
      date,
    )
    .option('--expires <date>', 'refuse the key from this UTC date or time on', date)

export const keysCommand = () =>
  withExamples(
    new Command('keys'),
    'keys create kek-2028 --type oct --config gateway.yaml',
    'keys list --config gateway.yaml',
  )
    .description('create, import, list, disable and enable the key-encryption keys of a backend; there is no export')
    .addCommand(createCommand())
    .addCommand(importCommand())
    .addCommand(
      command('list', 'list the keys of the backend', 'keys list --config gateway.yaml --backend store').action(
        async (options: BackendChoice) => {
          const keys = await openKeys(options)
          const found = await keys.list()
          for (const key of found) print(describeKey(key))
          if (found.length === 0) print('no keys')
        },
      ),
    )
    .addCommand(
      switchCommand('disable', 'disable a key: every call with it is refused until it is enabled again', false),
    )
    .addCommand(switchCommand('enable', 'enable a disabled key', true))

const createCommand = () =>
  withValidity(
    command(
      'create',
      'create a new key',
      'keys create kek-2028 --type oct --config gateway.yaml',
      'keys create kek-2028 --type RSA --size 4096 --expires 2030-01-31 --config gateway.yaml --backend hsm',
    ),
  )
    .argument('<name>')
    .addOption(new Option('--type <type>', 'the type of key: oct is AES').choices(['oct', 'RSA']).makeOptionMandatory())
    .option(
      '--size <bits>',
      `the size in bits: 256 for oct; ${rsaSizes.join(', ')} for RSA (default 3072)`,
      wholeNumber,
    )
    .action(async (name: string, { type, size, ...options }: CreateOptions) => {
      const keys = await openKeys(options)
      const bits = size ?? (type === 'oct' ? 256 : 3072)
      print(`created ${describeKey(await keys.create(name, { kty: type, bits }, validityOf(options)))}`)
    })

const importCommand = () =>
  withValidity(
    command(
      'import',
      'read a key from standard input (a JWK, a PKCS#8 PEM, or 32 bytes as hex or base64url) and store it',
      'keys import kek-2028 --config gateway.yaml < key.pem',
    ),
  )
    .argument('<name>')
    .action(async (name: string, options: BackendChoice & Validity) => {
      const keys = await openKeys(options)
      if (!keys.import) throw unsupported('import')
      print(`imported ${describeKey(await keys.import(name, await readStandardInput(), validityOf(options)))}`)
    })

const switchCommand = (name: string, description: string, enabled: boolean) =>
  command(name, description, `keys ${name} kek-2028 --config gateway.yaml`)
    .argument('<name>')
    .action(async (key: string, options: BackendChoice) => {
      const keys = await openKeys(options)
      if (!keys.setEnabled) throw unsupported(name)
      print(describeKey(await keys.setEnabled(key, enabled)))
    })

async function openKeys({ config, backend: wanted }: BackendChoice): Promise<KeyAdministration> {
  const backends = loadBackends(config, new Variables(process.env))
  const names = Object.keys(backends)
  if (names.length === 0) throw new OperatorError('BACKEND_UNKNOWN', `${config} has no backends`)
  const name = wanted ?? (names.length === 1 ? names[0] : undefined)
  const backend = name !== undefined && Object.hasOwn(backends, name) ? backends[name] : undefined
  if (backend === undefined) {
    const meant = didYouMean(wanted ?? '', names)
    throw new OperatorError(
      'BACKEND_UNKNOWN',
      `name a backend with --backend; ${config} has: ${names.join(', ')}${meant}`,
    )
  }
  const administration = await administerBackend(backend)
  if (administration === undefined) throw unsupported('keys')
  return administration
}

const unsupported = (what: string) =>
  new OperatorError('NOT_SUPPORTED', `this kind of backend has no ${what} here: use the backend's own tools`)

const validityOf = ({ notBefore, expires }: Validity): Validity => ({
  ...(notBefore && { notBefore }),
  ...(expires && { expires }),
})

function describeKey({ name, kty, bits, enabled, notBefore, expires }: KeySummary): string {
  const words = [name, bits === undefined ? kty : `${kty} ${bits}`, enabled ? 'enabled' : 'disabled']
  if (notBefore) words.push(`not before ${notBefore.toISOString()}`)
  if (expires) words.push(`expires ${expires.toISOString()}`)
  return words.join('  ')
}

async function readStandardInput(): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  const material = Buffer.concat(chunks)
  for (const chunk of chunks) chunk.fill(0)
  return material
}

function date(text: string): Date {
  const parsed = /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+Z)?$/.test(text) ? new Date(text) : undefined
  // JavaScript reads 30 February as a day in March.
  if (parsed === undefined || Number.isNaN(parsed.getTime()) || !parsed.toISOString().startsWith(text.slice(0, 10))) {
    throw new InvalidArgumentError('It must be a UTC date such as 2027-01-31 or 2027-01-31T12:00:00Z.')
  }
  return parsed
}

function wholeNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('It must be a number of bits.')
  return Number(text)
}
