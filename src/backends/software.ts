import { existsSync, readdirSync } from 'node:fs'
import * as v from 'valibot'
import { OperatorError, systemCode } from '../../adapters/contract/index.ts'
import { about, mapping, path, secret, type References } from '../settings/fields.ts'
import { secretAt } from './init-files.ts'
import type { Interview, Section } from './interview.ts'
import { capacity, type BackendRow } from './row.ts'

const schema = (references: References) =>
  mapping({
    kind: about('Keys in encrypted files, used in this process: for development and trials.', v.literal('software')),
    directory: about('The directory of the key store.', path(references), 'keys'),
    passphrase: about('The passphrase that encrypts the key store.', secret(references), { file: 'passphrase' }),
    ...capacity(),
  })

const questions = {
  store: { option: 'store', asks: 'directory of the key store', fallback: 'keys', setting: ['directory'] },
  passphrase: {
    secret: 'passphrase',
    asks: 'file of the passphrase that encrypts it, made if it is not there',
    fallback: 'passphrase',
    isMade: true,
    setting: ['passphrase'],
  },
} as const

function holdsFiles(directory: string): boolean {
  try {
    return readdirSync(directory).length > 0
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return false
    throw new OperatorError('DIRECTORY_UNREADABLE', `${directory} cannot be a key store (${code})`)
  }
}

async function section(interview: Interview): Promise<Section> {
  const { path: directory, found: hasKeys } = await interview.openPath(questions.store, holdsFiles)
  const passphrase = await interview.askSecret(questions.passphrase, async (place) => {
    if ('env' in place || existsSync(place.file)) return void secretAt(place, interview.references)
    if (hasKeys) {
      throw new OperatorError(
        'FILE_UNREADABLE',
        `there is no such file, and the store ${directory} cannot do without it`,
      )
    }
    await interview.makeSecret(place.file)
    interview.tell(`made ${place.file}: back it up, and the store too, apart from each other`)
  })
  return {
    settings: { directory, passphrase },
    comments: {
      directory: 'encrypted key files: for development and trials, docs/software-store.md',
      passphrase: 'without it, the keys are lost',
    },
  }
}

/** Keys in encrypted files. */
export const software = {
  schema,
  load: () => import('../../adapters/software/index.ts'),
  share: (settings) => settings,
  // Key files are read now and then.
  descriptors: () => 16,
  login: () => undefined,
  certificates: () => [],
  files: [{ setting: ['passphrase', 'file'], holds: 'secret' }],
  isName: () => true,
  incidents: { hostLost: undefined, tokenChanged: undefined, loginRefused: undefined },
  check: {
    opened: 'the passphrase opens it',
    openAdvice: {},
    custody: () => ({
      found: "a software store: the keys are in the gateway's memory",
      advice: 'for development and trials; keep keys that count in an HSM or a key manager',
    }),
    command: () => undefined,
    sessions: () => undefined,
    exposedKey: undefined,
    undecidedAdvice: 'find out why the store is slow or fails, then check again',
    enabledBy: 'keys enable',
  },
  init: {
    title: 'encrypted files, with the keys in use in this process: for development and trials',
    name: 'store',
    questions,
    section,
    emptyCode: 'STORE_MISSING',
    refusal: async () => ({ found: '', isFinal: false }),
  },
} satisfies BackendRow<v.InferOutput<ReturnType<typeof schema>>>
