import * as v from 'valibot'
import type { Interview, Section } from '../../src/backends/interview.ts'
import { capacity, type BackendRow } from '../../src/backends/row.ts'
import { quoted } from '../../src/base/shell.ts'
import { about, integer, mapping, secret, type References } from '../../src/settings/fields.ts'

const ADDRESS_RULE = 'must be http://, a host and a port'

const schema = (references: References) =>
  mapping({
    kind: about('Keys in a Transit key service.', v.literal('transit')),
    address: about(
      'Where the service is.',
      v.pipe(v.string(), v.regex(/^http:\/\/[A-Za-z0-9.-]+:\d{1,5}$/, ADDRESS_RULE)),
    ),
    token: about('The token that the service knows the gateway by.', secret(references)),
    connections: v.optional(about('Connections to the service at most.', integer(1, 64)), 8),
    ...capacity(),
  })

export type TransitSettings = v.InferOutput<ReturnType<typeof schema>>

const questions = {
  address: { option: 'transit-address', asks: 'where the service is', setting: ['address'] },
  token: { secret: 'transit-token', asks: "file of the service's token", fallback: 'token', setting: ['token'] },
} as const

const section = async (interview: Interview): Promise<Section> => ({
  settings: {
    address: await interview.ask(questions.address),
    token: await interview.askSecret(questions.token),
  },
  comments: { address: 'without TLS' },
})

/** The row of a kind whose keys are in a remote key service. */
export const transit = {
  schema,
  load: () => import('./adapter/index.ts'),
  share: (settings, part) => ({ ...settings, connections: part(settings.connections) }),
  descriptors: ({ connections }) => connections,
  login: ({ address, token }) => ({ address, token }),
  certificates: () => [],
  files: [{ setting: ['token', 'file'], holds: 'secret' }],
  isName: () => true,
  incidents: {
    hostLost: undefined,
    tokenChanged: undefined,
    loginRefused: { event: 'transit_token_refused', error: 'TRANSIT_TOKEN_REFUSED' },
  },
  check: {
    opened: 'it takes the token',
    openAdvice: {
      TRANSIT_TOKEN_REFUSED: 'make a new token for the gateway, and put it where token says',
      TRANSIT_UNREACHABLE: 'compare address with where the service listens',
    },
    custody: () => undefined,
    command: ({ address }) => `curl --silent ${quoted(`${address}/v1/sys/health`)}`,
    sessions: () => undefined,
    exposedKey: undefined,
    undecidedAdvice: 'see what makes the key service slow or fail, and check again',
    enabledBy: 'its own tools',
  },
  init: {
    title: 'a remote key service',
    name: 'transit',
    questions,
    section,
    emptyCode: undefined,
    refusal: async (_settings, code) => ({ found: 'ask the service', isFinal: code === 'TRANSIT_TOKEN_REFUSED' }),
  },
} satisfies BackendRow<TransitSettings>
