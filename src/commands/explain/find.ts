import { nearest } from '../../base/nearest.ts'
import { ENVIRONMENT_PREFIX } from '../../settings/variables.ts'
import { LIST_ENTRY, pathOf, type Setting, type Step } from './settings.ts'

export interface Found {
  readonly setting: Setting
  /** The path with the entries that were asked for: `backends`, `hsm`, `module`. */
  readonly names: readonly string[]
}

/**
 * The settings that `asked` means: a path such as `pools[].backend`, `pools.contoso.backend` or `pools[0].backend`, the
 * end of a path, or the name of a variable that overrides the setting. Several, if it is the end of several paths.
 */
export function findSettings(asked: string, settings: readonly Setting[]): readonly Found[] {
  const steps = stepsOf(asked)
  const found = matching(steps, settings, isSameName)
  if (found.length > 0) return found
  // `backends.hsm` and `pools[0]` ask for what the list or the mapping has of each entry.
  return matching(steps.slice(0, -1), settings, isSameName).filter(({ setting }) => hasEntries(setting, settings))
}

/** The path of the setting that a mistyped `asked` most likely means. */
export function meantSetting(asked: string, settings: readonly Setting[]): string | undefined {
  const near = matching(stepsOf(asked), settings, (step, name) => nearest(step, [name]) !== undefined)
  const paths = near.map(({ setting }) => pathOf(setting))
  return nearest(asked, paths) ?? paths[0] ?? nearest(asked, settings.map(pathOf))
}

function stepsOf(asked: string): readonly string[] {
  const text = asked.trim()
  if (text.toUpperCase().startsWith(ENVIRONMENT_PREFIX)) return text.slice(ENVIRONMENT_PREFIX.length).split('__')
  return text
    .replaceAll(/\[([^\]]*)\]/g, (_, entry: string) => `.${entry === '' ? LIST_ENTRY : entry}`)
    .split('.')
    .filter((step) => step !== '')
}

type IsSame = (step: string, name: string) => boolean

const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, '')
const isSameName: IsSame = (step, name) => plain(step) === plain(name)

function matching(steps: readonly string[], settings: readonly Setting[], isSame: IsSame): readonly Found[] {
  if (steps.length === 0) return []
  const whole = settings.flatMap((setting) => foundBy(setting, steps, 0, isSame))
  if (whole.length > 0) return whole
  return settings.flatMap((setting) => {
    for (let start = 1; start < setting.path.length; start += 1) {
      const found = foundBy(setting, steps, start, isSame)
      if (found.length > 0) return found
    }
    return []
  })
}

function foundBy(setting: Setting, steps: readonly string[], start: number, isSame: IsSame): readonly Found[] {
  const { path } = setting
  if (path[start]?.isEntry === true) return []
  const names = match(path.slice(start), steps, isSame)
  return names === undefined ? [] : [{ setting, names: [...path.slice(0, start).map(({ name }) => name), ...names] }]
}

/** The path with the entries that `steps` name, or undefined if it is another path. Entries may be left out. */
function match(path: readonly Step[], steps: readonly string[], isSame: IsSame): readonly string[] | undefined {
  const [head, ...below] = path
  const [step, ...others] = steps
  if (head === undefined) return step === undefined ? [] : undefined
  const taken =
    step !== undefined && (head.isEntry || isSame(step, head.name)) ? match(below, others, isSame) : undefined
  if (taken !== undefined && step !== undefined) return [head.isEntry ? step : head.name, ...taken]
  const leftOut = head.isEntry ? match(below, steps, isSame) : undefined
  return leftOut === undefined ? undefined : [head.name, ...leftOut]
}

const hasEntries = ({ path }: Setting, settings: readonly Setting[]): boolean =>
  settings.some(
    ({ path: other }) =>
      other[path.length]?.isEntry === true && path.every(({ name }, index) => other[index]?.name === name),
  )
