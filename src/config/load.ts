import * as v from 'valibot'
import { OperatorError } from '../../adapters/contract/index.ts'
import { applyEnvironment } from './environment.ts'
import type { References } from '../settings/fields.ts'
import { readFrom, readTrusted, type FileContents, type ReadFile } from '../settings/files.ts'
import { crossCheck } from './cross-check.ts'
import { backendsSchema, configSchema, type Config } from './schema.ts'
import { ConfigSource, formatPath, type Problem, type SettingPath } from './source.ts'
import { secretVariables, Variables, type VariableContents } from '../settings/variables.ts'

/** A record is left as it is: it is not the process's own environment, which other processes would inherit. */
export type Environment = Variables | Readonly<Record<string, string | undefined>>

export const variablesOf = (environment: Environment): Variables =>
  environment instanceof Variables ? environment : new Variables({ ...environment })

/** A configuration that cannot be used, with everything that is wrong with it. */
export class ConfigInvalid extends OperatorError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('CONFIG_INVALID', problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

const formatProblem = ({ source, line, path, message }: Problem) =>
  `${source}${line === undefined ? '' : `:${line}`}: ${path === '' ? '' : `${path} `}${message}`

/** The whole configuration, frozen. Throws {@link ConfigInvalid} with every problem at once. */
export const loadConfig = (file: string, environment: Environment, read: ReadFile = readTrusted): Config =>
  load({ file, environment, read }, configSchema, crossCheck)

/** All that a configuration was made from, for another process to make the same one, whatever the disk says by then. */
export interface ConfigContents {
  readonly files: FileContents
  readonly variables: VariableContents
}

/** The configuration that `contents` made elsewhere. `own` is the environment of this process. */
export const loadConfigFrom = (file: string, contents: ConfigContents, own: NodeJS.ProcessEnv): Config =>
  loadConfig(file, Variables.from(contents.variables, own), readFrom(contents.files))

/** Only the backends, for commands that manage keys before the rest of the configuration can be right. */
export const loadBackends = (file: string, environment: Environment): Config['backends'] =>
  load({ file, environment, read: readTrusted }, (references) => v.object({ backends: backendsSchema(references) }))
    .backends

interface Finding {
  readonly path: SettingPath
  readonly message: string
}

function load<const Schema extends v.GenericSchema>(
  { file, environment, read }: { file: string; environment: Environment; read: ReadFile },
  schemaFor: (references: References) => Schema,
  check: (data: unknown) => readonly Finding[] = () => [],
): v.InferOutput<Schema> {
  const source = ConfigSource.read(file, read)
  if (!(source instanceof ConfigSource)) throw new ConfigInvalid(source)

  const variables = variablesOf(environment)
  const references = { directory: source.directory, variables, read }
  // Every override is applied to the whole file, also where only a part of it is used.
  const { data, overrides, problems } = applyEnvironment(source.data, configSchema(references), variables.overrides)
  variables.hide(secretVariables(data))
  // One word on each setting: a number can be neither whole nor in range.
  const parsed = v.safeParse(schemaFor(references), data, { abortPipeEarly: true })
  const findings = [...(parsed.issues ?? []).flatMap(findingsOf), ...check(data)]
  if (!parsed.success || findings.length > 0 || problems.length > 0) {
    const located = findings.map(({ path, message }): Problem => {
      const dotted = formatPath(path)
      const override = overrides.find((candidate) => formatPath(candidate.path) === dotted)
      if (override) return { source: override.variable, path: dotted, message }
      return { source: file, line: source.lineOf(path), path: dotted, message }
    })
    throw new ConfigInvalid([...problems, ...located.sort((a, b) => (a.line ?? 0) - (b.line ?? 0))])
  }
  return freeze(parsed.output)
}

function findingsOf(issue: v.BaseIssue<unknown>): readonly Finding[] {
  const path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)))
  // Of the alternatives, the one that a mapping was meant for knows better what is wrong inside.
  const inside = (issue.issues ?? []).filter((alternative) => alternative.path !== undefined).flatMap(findingsOf)
  if (inside.length > 0) return inside.map((finding) => ({ ...finding, path: [...path, ...finding.path] }))
  return [{ path, message: issue.message }]
}

/** Plain objects and lists only: a buffer cannot be frozen, and the classes keep their own state private. */
function freeze<T>(value: T): T {
  const plain = Array.isArray(value) || (typeof value === 'object' && value !== null && isPlain(value))
  if (!plain) return value
  for (const member of Object.values(value as object)) freeze(member)
  return Object.freeze(value)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
