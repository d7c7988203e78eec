import { Command, InvalidArgumentError, Option } from 'commander'
import { OperatorError, rsaSizes, type KeyAdministration, type KeySummary } from '../../adapters/contract/index.ts'
import { administerBackend } from '../backends/index.ts'
import { loadBackends } from '../config/load.ts'
import { Variables } from '../settings/variables.ts'
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

const command = (name: string, description: string) =>
  new Command(name)
    .description(description)
    .requiredOption('--config <file>', 'the configuration file; only its backends are looked at')
    .option('--backend <name>', 'which backend; may be left out where there is only one')

const withValidity = (target: Command) =>
  target
    .option('--not-before <date>', 'not to be used before, e.g. 2027-01-31 or 2027-01-31T12:00:00Z', date)
    .option('--expires <date>', 'not to be used from then on', date)

export const keysCommand = () =>
  new Command('keys')
    .description('make and look at the key-encryption keys of a backend; there is no export')
    .addCommand(
      withValidity(command('create', 'make a new key'))
        .argument('<name>')
        .addOption(new Option('--type <type>', 'the type of key').choices(['oct', 'RSA']).makeOptionMandatory())
        .option('--size <bits>', `256 for oct; ${rsaSizes.join(', ')} for RSA (default 3072)`, wholeNumber)
        .action(async (name: string, { type, size, ...options }: CreateOptions) => {
          const keys = await openKeys(options)
          const bits = size ?? (type === 'oct' ? 256 : 3072)
          print(`created ${describeKey(await keys.create(name, { kty: type, bits }, validityOf(options)))}`)
        }),
    )
    .addCommand(
      withValidity(
        command('import', 'take a key from standard input: a JWK, a PKCS#8 PEM, or 32 bytes as hex or base64url'),
      )
        .argument('<name>')
        .action(async (name: string, options: BackendChoice & Validity) => {
          const keys = await openKeys(options)
          if (!keys.import) throw unsupported('import')
          print(`imported ${describeKey(await keys.import(name, await readStandardInput(), validityOf(options)))}`)
        }),
    )
    .addCommand(
      command('list', 'list the keys').action(async (options: BackendChoice) => {
        const keys = await openKeys(options)
        const found = await keys.list()
        for (const key of found) print(describeKey(key))
        if (found.length === 0) print('no keys')
      }),
    )
    .addCommand(switchCommand('disable', 'refuse to use a key, until it is enabled again', false))
    .addCommand(switchCommand('enable', 'use a disabled key again', true))

const switchCommand = (name: string, description: string, enabled: boolean) =>
  command(name, description)
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
    throw new OperatorError('BACKEND_UNKNOWN', `say which backend with --backend; ${config} has: ${names.join(', ')}`)
  }
  const administration = await administerBackend(backend)
  if (administration === undefined) throw unsupported('keys')
  return administration
}

const unsupported = (what: string) =>
  new OperatorError('NOT_SUPPORTED', `this kind of backend has no ${what}: use its own tools`)

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
  // JavaScript reads the 30th of February as a day in March.
  if (parsed === undefined || Number.isNaN(parsed.getTime()) || !parsed.toISOString().startsWith(text.slice(0, 10))) {
    throw new InvalidArgumentError('It must be a UTC date such as 2027-01-31 or 2027-01-31T12:00:00Z.')
  }
  return parsed
}

function wholeNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('It must be a number of bits.')
  return Number(text)
}
