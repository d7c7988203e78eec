import { fileURLToPath } from 'node:url'
import tseslint from 'typescript-eslint'

/** A wall: the files may not import what matches, and the message says why. */
const wall = (name, files, ...forbidden) => ({
  name,
  files,
  rules: {
    'no-restricted-imports': ['error', { patterns: forbidden.map(([regex, message]) => ({ regex, message })) }],
  },
})

const towards = (folder) => `(^|/)${folder}/`
const anyAdapter = [
  '(^|/)adapters/(?!contract/)',
  'only src/backends.ts names an adapter: everything else sees the contract.',
]
const http = [
  towards('http'),
  'what an EKM proxy does is independent of HTTP: statuses and headers belong to src/http.',
]
const commands = [towards('(commands|conformance)'), 'commands use the gateway, never the other way round.']
const conformance = 'the conformance suite tests any EKM proxy from outside: it imports nothing of the gateway.'
const source = [String.raw`^(\.\./)+src/`, 'an adapter knows the contract and nothing of the gateway around it.']
/** For the files `depth` folders below `adapters/`; a folder within an adapter sees the whole of its adapter. */
const anotherAdapter = (depth) => [
  String.raw`^(\.\./){${depth}}(?!contract/|key-wrap/|ttlv-codec/)`,
  'adapters do not know each other: what two of them need belongs to adapters/key-wrap or the contract.',
]

export default tseslint.config(
  { ignores: ['**/dist/**', 'coverage/**', 'ekm-quickstart/**'] },
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['.config/*.js', 'test/pkcs11/support/*.mjs', 'test/workers/*.mjs'] },
        tsconfigRootDir: fileURLToPath(new URL('..', import.meta.url)),
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/require-await': 'off', // the contract is asynchronous, also where an implementation is not
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      'no-console': 'error',
      eqeqeq: 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'use a union of literals: erasable, and it narrows.' },
        { selector: 'ExportDefaultDeclaration', message: 'a named export has one name everywhere.' },
      ],
    },
  },
  { files: ['.config/*.js', 'test/**/vitest.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['**/*.js', '**/*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
  wall('src sees only the contract', ['src/**/*.ts'], anyAdapter, commands),
  wall('commands', ['src/commands/**/*.ts', 'src/cli.ts'], anyAdapter),
  wall('conformance', ['src/conformance/src/*.ts'], [String.raw`^(?!\./|node:|commander$)`, conformance]),
  wall(
    'folders of conformance',
    ['src/conformance/src/*/**/*.ts'],
    [String.raw`^(?!\.{1,2}/(?!\.\.)|node:)`, conformance],
  ),
  wall('tests of conformance', ['src/conformance/test/*.ts'], [String.raw`^\.\./(?!src/)`, conformance]),
  wall('proxies of conformance', ['src/conformance/test/*/**/*.ts'], [String.raw`^(\.\./){2}(?!src/)`, conformance]),
  wall('backends', ['src/backends.ts'], commands, http),
  wall('ekm', ['src/ekm/**/*.ts'], anyAdapter, commands, http, [
    towards('(tls|config|telemetry)'),
    'src/ekm is the domain: it is told what it needs.',
  ]),
  wall('tls', ['src/tls/**/*.ts'], anyAdapter, commands, http),
  wall(
    'x509',
    ['src/x509/**/*.ts'],
    [String.raw`^(?!\./|node:)`, 'what RFC 5280 says of certificates needs nothing of a gateway.'],
  ),
  wall('config and telemetry', ['src/config/**/*.ts', 'src/telemetry/**/*.ts'], anyAdapter, commands, http, [
    towards('(tls|ekm)'),
    'configuration and telemetry lie below what uses them.',
  ]),
  wall('contract', ['adapters/contract/**/*.ts'], ['^(?!\\./)', 'the contract imports nothing.']),
  wall('key-wrap', ['adapters/key-wrap/**/*.ts'], source, [
    String.raw`^\.\./(?!contract/)`,
    'key-wrap imports nothing but the contract.',
  ]),
  wall(
    'ttlv-codec',
    ['adapters/ttlv-codec/src/**/*.ts'],
    ['^(?!\\./)', 'ttlv-codec has no dependency, not even node:.'],
  ),
  wall('adapters', ['adapters/{software,pkcs11,kmip}/*.ts'], source, anotherAdapter(1)),
  wall('folders of adapters', ['adapters/{software,pkcs11,kmip}/*/**/*.ts'], source, anotherAdapter(2)),
)
