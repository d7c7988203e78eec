import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** The artefacts of two runs of `npm run release`, each in a clone of its own. */
    readonly releases: readonly [string, string]
    /** The artefacts of the release before, or of the commit before if there is no release yet. */
    readonly previous: string
  }
}

/** Installs what the tests need where they may. Makes the release of HEAD twice, and the release before it. */
export function setup({ provide }: TestProject): () => void {
  execFileSync('sh', ['test/deploy/debian-packages.sh'], { stdio: 'inherit' })
  const directory = mkdtempSync(join(tmpdir(), 'ekm-deploy-'))
  const release = (name: string, commit: string) => {
    const cwd = join(directory, name)
    execFileSync('git', ['clone', '--quiet', '.', cwd])
    execFileSync('git', ['checkout', '--quiet', '--detach', commit], { cwd })
    execFileSync('npm', ['run', '--silent', 'release'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
    return join(cwd, 'release')
  }
  const head = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim()
  provide('releases', [release('first', head), release('a-second-one', head)])
  provide('previous', release('previous', before()))
  return () => rmSync(directory, { recursive: true, force: true })
}

function before(): string {
  const tags = execFileSync('git', ['tag', '--list', 'v*', '--merged', 'HEAD^', '--sort=-version:refname'], {
    encoding: 'utf8',
  })
  return tags.split('\n')[0] || 'HEAD^'
}
