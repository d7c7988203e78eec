import { readFileSync } from 'node:fs'
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

/** The rooms of `src`, from the lowest to the highest. A room imports what lies below it, and nothing above. */
const floors = JSON.parse(readFileSync(new URL('floors.json', import.meta.url), 'utf8'))
/** What a room may not import although it lies below. */
const strangers = {
  telemetry: [['ekm'], 'logs and metrics are told what happened: they know nothing of pools and keys.'],
  settings: [['ekm'], 'settings are read before there are pools and keys.'],
  config: [['ekm'], 'a configuration is read before there are pools and keys.'],
  http: [['backends', 'config', 'settings'], 'HTTP asks pools: it knows no backend and no configuration.'],
}

const towards = (folders) => String.raw`^(\.\./)+(${folders.join('|')})/`
const up = (room) => {
  const above = floors.slice(floors.indexOf(room) + 1)
  // `ekm` has a room of its own inside.
  const isInside = above.some((other) => room.startsWith(`${other}/`))
  const names = above.filter((other) => !room.startsWith(`${other}/`))
  if (room !== 'commands') names.push('conformance')
  return [
    [
      ...(names.length === 0 ? [] : [towards(names)]),
      String.raw`^(\.\./)+cli\.ts$`,
      ...(isInside ? [String.raw`^\.\./(?!\.\./)`] : []),
    ].join('|'),
    `src/${room} imports what lies below it, and nothing above: ${floors.join(' < ')}.`,
  ]
}
const anyAdapter = [
  '(^|/)adapters/(?!contract/)',
  'only src/backends names an adapter: everything else sees the contract.',
]
const conformance = 'the conformance suite tests any EKM proxy from outside: it imports nothing of the gateway.'
const source = [String.raw`^(\.\./)+src/`, 'an adapter knows the contract and nothing of the gateway around it.']
/** For the files `depth` folders below `adapters/`; a folder within an adapter sees the whole of its adapter. */
const anotherAdapter = (depth) => [
  String.raw`^(\.\./){${depth}}(?!\.\./|contract/|key-wrap/|ttlv-codec/)`,
  'adapters do not know each other: what two of them need belongs to adapters/key-wrap or the contract.',
]
/** Also of adapters that are not built yet. */
const adapters = (depth) => ({
  ...wall('adapters', [`adapters/${'*/'.repeat(depth)}*.ts`], source, anotherAdapter(depth)),
  ignores: ['adapters/{contract,key-wrap,ttlv-codec}/**'],
})
const room = (name) => {
  const [folders, why] = strangers[name] ?? []
  return wall(
    name,
    [`src/${name}/**/*.ts`],
    up(name),
    ...(name === 'backends' ? [] : [anyAdapter]),
    ...(folders === undefined ? [] : [[towards(folders), why]]),
  )
}

/** `prettier-ignore` keeps a layout by hand: the reason stands behind it, in a comment of its own on the same line. */
const ignoreWithReason = {
  meta: { type: 'suggestion', schema: [] },
  create: ({ sourceCode, report }) => ({
    Program() {
      for (const [index, comment] of sourceCode.getAllComments().entries()) {
        if (!/^\s*prettier-ignore\b/.test(comment.value)) continue
        const next = sourceCode.getAllComments()[index + 1]
        const hasReason = next?.loc.start.line === comment.loc.end.line && next.value.trim() !== ''
        if (hasReason) continue
        report({
          loc: comment.loc,
          message: 'write `/* prettier-ignore */ // reason`, or leave the layout to Prettier.',
        })
      }
    },
  }),
}

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
    plugins: { house: { rules: { 'ignore-with-reason': ignoreWithReason } } },
    rules: {
      'house/ignore-with-reason': 'error',
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
  { files: ['.config/*.js', '.ci/*.mjs', 'test/**/*.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['**/*.js', '**/*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
  // `ekm` before the room that it has inside: of two walls, the later holds.
  ...floors.toReversed().map(room),
  wall('cli', ['src/cli.ts'], anyAdapter),
  wall('conformance', ['src/conformance/src/*.ts'], [String.raw`^(?!\./|node:|commander$)`, conformance]),
  wall(
    'folders of conformance',
    ['src/conformance/src/*/**/*.ts'],
    [String.raw`^(?!\.{1,2}/(?!\.\.)|node:)`, conformance],
  ),
  wall('tests of conformance', ['src/conformance/test/*.ts'], [String.raw`^\.\./(?!src/)`, conformance]),
  wall('proxies of conformance', ['src/conformance/test/*/**/*.ts'], [String.raw`^(\.\./){2}(?!src/)`, conformance]),
  wall(
    'x509',
    ['src/x509/**/*.ts'],
    [String.raw`^(?!\./|node:)`, 'what RFC 5280 says of certificates needs nothing of a gateway.'],
  ),
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
  adapters(1),
  adapters(2),
  adapters(3),
)
