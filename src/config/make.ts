import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { OperatorError } from '../../adapters/contract/index.ts'
import type { References } from '../settings/fields.ts'
import { readFrom, type FileContents, type ReadFile } from '../settings/files.ts'
import { secretVariables, Variables, type VariableContents } from '../settings/variables.ts'
import { crossCheck } from './cross-check.ts'
import { applyEnvironment } from './environment.ts'
import { at, formatPath, type Problem, type SettingPath } from './problem.ts'
import { backendsSchema, configSchema, type Config } from './schema.ts'

/** The settings of a file as plain data, and where each stands. */
export interface ConfigSource {
  /** The path as the operator gave it. */
  readonly file: string
  /** Relative paths in the file start from this directory. */
  readonly directory: string
  readonly data: unknown
  /** The line of a setting, as far as it is known. */
  readonly lineOf: (path: SettingPath) => number | undefined
}

/** A record is not modified: it is not the process's own environment, which other processes would inherit. */
export type Environment = Variables | Readonly<Record<string, string | undefined>>

export const variablesOf = (environment: Environment): Variables =>
  environment instanceof Variables ? environment : new Variables({ ...environment })

/** A configuration that cannot be used, with every problem in it. */
export class ConfigInvalid extends OperatorError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('CONFIG_INVALID', problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

const formatProblem = ({ where, line, path, message }: Problem) =>
  `${where}${line === undefined ? '' : `:${line}`}: ${path === '' ? '' : `${path} `}${message}`

interface Ingredients {
  readonly source: ConfigSource
  readonly environment: Environment
  readonly read: ReadFile
}

/**
 * Makes the whole configuration, frozen.
 * @throws ConfigInvalid with every problem at once
 */
export const makeConfig = (ingredients: Ingredients): Config => make(ingredients, (whole) => whole, crossCheck)

/**
 * Makes only the backends.
 * @throws ConfigInvalid with every problem at once
 */
export const makeBackends = (ingredients: Ingredients): Config['backends'] =>
  make(ingredients, (_whole, references) => v.object({ backends: backendsSchema(references) })).backends

/**
 * Everything that a configuration was made from. Another process makes the same one from it, whatever the disk contains
 * by then, and does not need to read YAML.
 */
export interface ConfigContents {
  readonly data: unknown
  readonly files: FileContents
  readonly variables: VariableContents
}

/** The configuration that another process made from `contents`. `own` is this process's environment. */
export const makeConfigFrom = (
  file: string,
  { data, files, variables }: ConfigContents,
  own: NodeJS.ProcessEnv,
): Config =>
  makeConfig({
    source: { file, directory: dirname(resolve(file)), data, lineOf: () => undefined },
    environment: Variables.from(variables, own),
    read: readFrom(files),
  })

/**
 * What is wrong with the text itself: names that are no settings, and values of a wrong type. Neither settings that are
 * missing nor the files that it names are judged.
 */
export function shapeProblems(source: ConfigSource, references: References): readonly Problem[] {
  const { file, data } = source
  const { issues = [] } = v.safeParse(configSchema(references), data, { abortPipeEarly: true })
  return (
    issues
      .filter(({ kind }) => kind === 'schema')
      .flatMap(findingsOf)
      // A list in the place of a mapping, too, is said to be undefined.
      .filter(({ path }) => (at(data, path) ?? undefined) !== undefined)
      .map(({ path, message }) => ({ where: file, line: source.lineOf(path), path: formatPath(path), message }))
  )
}

interface Finding {
  readonly path: SettingPath
  readonly message: string
}

function make<const Schema extends v.GenericSchema>(
  { source, environment, read }: Ingredients,
  schemaFor: (whole: ReturnType<typeof configSchema>, references: References) => Schema,
  check: (data: unknown) => readonly Finding[] = () => [],
): v.InferOutput<Schema> {
  const { file, directory } = source
  const variables = variablesOf(environment)
  const references = { directory, variables, read }
  const whole = configSchema(references)
  // Every override is applied to the whole file, even if only a part of it is used.
  const { data, overrides, problems } = applyEnvironment(source.data, whole, variables.overrides)
  variables.hide(secretVariables(data))
  // One message for each setting: a number can be neither whole nor in range.
  const parsed = v.safeParse(schemaFor(whole, references), data, { abortPipeEarly: true })
  const findings = [...(parsed.issues ?? []).flatMap(findingsOf), ...check(data)]
  if (!parsed.success || findings.length > 0 || problems.length > 0) {
    const located = findings.map(({ path, message }): Problem => {
      const dotted = formatPath(path)
      const override = overrides.find((candidate) => formatPath(candidate.path) === dotted)
      if (override) return { where: override.variable, path: dotted, message }
      return { where: file, line: source.lineOf(path), path: dotted, message }
    })
    throw new ConfigInvalid([...problems, ...located.sort((a, b) => (a.line ?? 0) - (b.line ?? 0))])
  }
  return freeze(parsed.output)
}

function findingsOf(issue: v.BaseIssue<unknown>): readonly Finding[] {
  const path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)))
  // Errors inside one of the alternatives are more exact than the error of the union.
  const inside = (issue.issues ?? []).filter((alternative) => alternative.path !== undefined).flatMap(findingsOf)
  if (inside.length > 0) return inside.map((finding) => ({ ...finding, path: [...path, ...finding.path] }))
  return [{ path, message: issue.message }]
}

/** Only plain objects and lists: a buffer cannot be frozen, and classes keep their state private. */
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
