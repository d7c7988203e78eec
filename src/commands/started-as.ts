import { accessSync, constants } from 'node:fs'
import { delimiter, join, relative } from 'node:path'
import { quoted } from '../base/shell.ts'

/** How this program is started again from the same directory. An installed one goes by its name. */
export function startedAs(): string {
  if (isOnPath('ekm-gateway')) return 'ekm-gateway'
  const node = isOnPath('node') ? 'node' : quoted(process.execPath)
  return `${node} ${quoted(relative(process.cwd(), process.argv[1] ?? '') || 'ekm-gateway')}`
}

const isOnPath = (name: string): boolean =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .some((directory) => directory !== '' && isExecutable(join(directory, name)))

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
