import { basename, isAbsolute } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { OperatorError, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import type { TokenSeen } from '../../adapters/pkcs11/index.ts'
import { sessionCount } from '../../adapters/pkcs11/options.ts'
import { about, flag, integer, listOf, mapping, path, secret, text, type References } from '../settings/fields.ts'
import { quoted } from '../base/shell.ts'
import type { Interview, SecretPlace, Section } from './interview.ts'
import { capacity, type BackendRow, type Refusal } from './row.ts'

const TOKEN_RULE = 'must be a mapping with at least one of label, serial and slot, or a pkcs11: URI'

/** The adapter reads a `pkcs11:` URI, because it knows RFC 7512. */
const token = () =>
  v.union(
    [
      v.pipe(v.string(), v.regex(/^pkcs11:/i, TOKEN_RULE)),
      v.pipe(
        mapping({
          label: v.exactOptional(about("The token's label.", text(), 'payroll')),
          serial: v.exactOptional(about("The token's serial number.", text(), '0123456789abcdef')),
          slot: v.exactOptional(
            about(
              'The slot id, in decimal, or in hexadecimal after 0x. Quote a number from 2^53.',
              v.union(
                [v.pipe(integer(0, Number.MAX_SAFE_INTEGER), v.transform(String)), v.string()],
                'must be a number, quoted from 2^53',
              ),
              1,
            ),
          ),
        }),
        v.check((given) => Object.keys(given).length > 0, TOKEN_RULE),
      ),
    ],
    TOKEN_RULE,
  )

const mechanismNumber = () => integer(0, 0xffff_ffff)

const mechanismFor = (algorithm: WrapAlgorithm) =>
  v.exactOptional(about(`The mechanism for ${algorithm}, by number.`, mechanismNumber(), 0x2109))

const mechanisms = () =>
  mapping({
    pin: v.exactOptional(
      about(
        'The only mechanism to use for an algorithm. It must pass the qualification like any other.',
        mapping({
          A256KW: mechanismFor('A256KW'),
          A256KWP: mechanismFor('A256KWP'),
          'RSA-OAEP': mechanismFor('RSA-OAEP'),
          'RSA-OAEP-256': mechanismFor('RSA-OAEP-256'),
        }),
      ),
    ),
    forbid: v.exactOptional(about('Numbers of mechanisms that must not be used.', listOf(mechanismNumber()), [0x2109])),
  })

const schema = (references: References) => v.pipe(settings(references), v.transform(withPinOf(references)))

const settings = (references: References) =>
  mapping({
    kind: about('Keys in an HSM, through its PKCS#11 library.', v.literal('pkcs11')),
    module: about("The vendor's PKCS#11 library.", path(references), '/usr/lib/softhsm/libsofthsm2.so'),
    libraryParameters: v.exactOptional(
      about(
        'Text to pass to C_Initialize, for libraries that need it, such as NSS. Do not put a secret here.',
        text(),
        "configdir='sql:/var/lib/nss'",
      ),
    ),
    token: about('Which token: label, serial, slot, or a pkcs11: URI (RFC 7512).', token(), { label: 'payroll' }),
    pin: v.exactOptional(
      about("The user's PIN. Leave it out for a token with a PIN pad.", secret(references), { file: 'pin' }),
    ),
    sessions: v.exactOptional(
      about(
        'How many calls the HSM gets at a time. Each runs in a process with one session. By default one per core, at least 2 and at most 4, and never more than the token allows.',
        integer(1, 64),
        4,
      ),
    ),
    requireSensitive: v.exactOptional(
      about(
        'Whether to refuse keys that are CKA_EXTRACTABLE or not CKA_SENSITIVE. By default there is only a warning.',
        flag(),
        true,
      ),
    ),
    mechanisms: v.exactOptional(about('Which mechanisms must be used, and which must not.', mechanisms())),
    callTimeoutMs: v.exactOptional(
      about(
        'Milliseconds after which a call that has not returned counts as hung. Its process is then replaced. By default 1000.',
        integer(250, 60_000),
        1000,
      ),
    ),
    ...capacity(),
  })

/** The file of the PIN in a `pkcs11:` URI (RFC 7512 §2.4). */
function pinSourceOf(token: string): string | undefined {
  const [, text] = /[?&]pin-source=([^&]+)/.exec(token) ?? []
  try {
    const source = text === undefined ? undefined : decodeURIComponent(text)
    return source?.startsWith('file:') ? fileURLToPath(source) : source
  } catch {
    return undefined
  }
}

type Settings = v.InferOutput<ReturnType<typeof settings>>

/**
 * Takes the PIN that a URI names for one of the settings: then a reload sees when it has changed. The adapter reads the
 * URI again, and says what is wrong with a `pin-source` that was left in it.
 */
const withPinOf =
  (references: References) =>
  (given: Settings): Settings => {
    const { token: uri, pin } = given
    const file = typeof uri === 'string' && pin === undefined ? pinSourceOf(uri) : undefined
    if (typeof uri !== 'string' || file === undefined || !isAbsolute(file)) return given
    const { typed, output } = v.safeParse(secret(references), { file })
    return typed ? { ...given, token: withoutPinSource(uri), pin: output } : given
  }

const withoutPinSource = (uri: string): string => uri.replace(/([?&])pin-source=[^&]+&?/, '$1').replace(/[?&]$/, '')

const questions = {
  module: { option: 'module', asks: "the vendor's PKCS#11 library, a path", setting: ['module'] },
  libraryParameters: {
    option: 'library-parameters',
    asks: 'what the library needs at C_Initialize, such as NSS does; not a place for a secret',
    fallback: '',
    setting: ['libraryParameters'],
    optionOnly: true,
  },
  token: { option: 'token', asks: 'label or serial number of the token', setting: ['token'] },
  pin: { secret: 'pin', asks: "file that holds the user's PIN", fallback: 'pin', setting: ['pin'] },
} as const

async function section(interview: Interview): Promise<Section> {
  const parameters = await interview.ask(questions.libraryParameters)
  const library = parameters === '' ? {} : { libraryParameters: parameters }
  let tokens: readonly TokenSeen[] = []
  const file = await interview.askPath(questions.module, async (path) => {
    tokens = await usableTokens(path, library)
  })
  const isShared = (label: string) => tokens.filter((token) => token.label === label).length > 1
  const nameOf = ({ label, serial }: TokenSeen) => (label === '' || isShared(label) ? serial : label)
  const chosen = await interview.choose(
    questions.token,
    tokens.map((token) => ({
      value: nameOf(token),
      label: `${token.model}, serial ${token.serial}, slot ${token.slot}`,
    })),
  )
  const token = tokens.find((candidate) => nameOf(candidate) === chosen)
  if (token === undefined) throw new OperatorError('TOKEN_NOT_FOUND', `the module shows no token ${chosen}`)
  const pin = await askPin(interview, token)
  return {
    settings: {
      module: file,
      ...library,
      token: chosen === token.label ? { label: chosen } : { serial: chosen },
      ...(pin !== undefined && { pin }),
    },
    comments: {
      module: 'docs/pkcs11.md has what each product needs',
      pin: 'where the PIN is: never the PIN',
    },
  }
}

async function usableTokens(module: string, library: { libraryParameters?: string }): Promise<readonly TokenSeen[]> {
  const { surveyTokens, remedyFor } = await import('../../adapters/pkcs11/index.ts')
  const tokens = (await surveyTokens({ module, ...library })).filter(({ initialised }) => initialised)
  if (tokens.length > 0) return tokens
  throw new OperatorError('TOKEN_NOT_FOUND', `the module shows no initialised token; ${remedyFor(module)}`)
}

/** `undefined` for a token that asks for the PIN itself. A PIN is not risked where a wrong one would lock the token. */
async function askPin(interview: Interview, { label, pin, pinPad }: TokenSeen): Promise<SecretPlace | undefined> {
  const never = pin === 'count low' || pin === 'set' ? undefined : pinAdvice[pin]
  if (never !== undefined) throw new OperatorError('LOGIN_REFUSED', `the token ${label} is not tried: ${never}`)
  if (pin === 'count low') interview.tell(`${label} counts wrong PINs, and says: ${pinAdvice[pin]}`)
  if (pinPad) {
    interview.tell(`${label} asks for its PIN itself`)
    return undefined
  }
  return interview.askSecret(questions.pin)
}

const pinAdvice = {
  'count low': 'a wrong one was tried since the last login, and a few more lock it',
  'final try': "one more wrong PIN locks it; log in with the vendor's own tool once, so that it counts anew",
  locked: "its PIN is locked; have the security officer set a new one with the vendor's own tool",
  'not set': "it has no user PIN yet; set one with the vendor's own tool",
} as const

/** What a refused PIN has done is asked of the token, and not found out by another try. */
async function refusal(
  { module, libraryParameters, token: wanted }: v.InferOutput<ReturnType<typeof schema>>,
  code: string | undefined,
): Promise<Refusal> {
  if (code !== 'LOGIN_REFUSED') return { found: '', isFinal: false }
  const { surveyTokens } = await import('../../adapters/pkcs11/index.ts')
  const tokens = await surveyTokens({ module, ...(libraryParameters !== undefined && { libraryParameters }) })
  const { label, serial } = typeof wanted === 'string' ? {} : wanted
  const token = tokens.find((seen) => (label === undefined ? seen.serial === serial : seen.label === label))
  const said =
    token === undefined || token.pin === 'set' ? 'the token does not say how many tries are left' : pinAdvice[token.pin]
  return { found: `this was one try: ${said}. See to the right PIN before another run`, isFinal: true }
}

const listSlots = (module: string) => `pkcs11-tool --module ${quoted(module)} --list-token-slots`
const showFile = (module: string) => `file -L ${quoted(module)}`

/**
 * By the code with which it does not open. Tools that load the module do not help if the module itself is wrong, and none
 * helps if a setting is.
 */
const commands: Readonly<Record<string, (module: string) => string>> = {
  TOKEN_NOT_FOUND: listSlots,
  TOKEN_AMBIGUOUS: listSlots,
  TOKEN_UNUSABLE: listSlots,
  LOGIN_REFUSED: listSlots,
  TIMEOUT: listSlots,
  MODULE_MISSING: (module) => `find / -xdev -name ${quoted(basename(module))}`,
  MODULE_ARCHITECTURE: showFile,
  MODULE_UNUSABLE: (module) => `${showFile(module)}; ldd ${quoted(module)}`,
  PKCS11JS_MISSING: () => 'npm install pkcs11js',
}

/** Keys in an HSM. */
export const pkcs11 = {
  schema,
  load: () => import('../../adapters/pkcs11/index.ts'),
  share: (settings, part) => ({ ...settings, sessions: part(sessionCount(settings, undefined)) }),
  // A host has three pipes, and another may take its place while it still runs.
  descriptors: (settings) => sessionCount(settings, undefined) * 8,
  login: ({ module, libraryParameters, token, pin }) => ({ module, libraryParameters, token, pin }),
  certificates: () => [],
  files: [
    { setting: ['module'], holds: 'trust' },
    { setting: ['pin', 'file'], holds: 'secret' },
    { setting: ['token'], holds: 'secret', find: pinSourceOf },
  ],
  isName: (ref) => !/^(?:id|pkcs11):/.test(ref),
  incidents: {
    hostLost: { event: 'hsm_host_lost' },
    tokenChanged: { event: 'hsm_token_changed' },
    loginRefused: { event: 'hsm_login_refused', error: 'LOGIN_REFUSED' },
  },
  check: {
    opened: 'logged in',
    openAdvice: {
      MODULE_MISSING: 'correct module, if the library is elsewhere; else install it',
      LOGIN_REFUSED:
        'correct the PIN before the next run: each run is one attempt, and a few wrong attempts lock the token',
    },
    custody: () => undefined,
    command: ({ module }, _fileOf, code) => (code === undefined ? listSlots : commands[code])?.(module),
    sessions: ({ sessions }) => ({
      wanted: sessions,
      holder: 'the token',
      advice: 'lower sessions, or find out who else has sessions on the token (a running gateway does)',
    }),
    exposedKey: {
      event: 'hsm_key_exposed',
      found: 'the key can leave the token: CKA_SENSITIVE is false, or CKA_EXTRACTABLE is true',
      advice: 'make a new key with keys create, move to it, and set requireSensitive',
    },
    undecidedAdvice: 'find out why the HSM is slow or fails (its load, the network, callTimeoutMs), then check again',
    enabledBy: 'its own tools',
  },
  init: {
    title: 'an HSM, through its PKCS#11 library',
    name: 'hsm',
    questions,
    section,
    emptyCode: undefined,
    refusal,
  },
} satisfies BackendRow<v.InferOutput<ReturnType<typeof schema>>>
