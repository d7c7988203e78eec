import { loadConfig } from '../../config/load.ts'
import { Variables } from '../../settings/variables.ts'
import { Trust } from '../../tls/trust.ts'
import { print } from '../terminal.ts'

/** @throws as {@link loadConfig} */
export async function validate(file: string): Promise<void> {
  const { pools, backends } = loadConfig(file, new Variables(process.env))
  await new Trust(pools.flatMap(({ clients }) => clients)).prepare()
  print(`${file} is valid (pools: ${pools.length}, backends: ${Object.keys(backends).length})`)
}
