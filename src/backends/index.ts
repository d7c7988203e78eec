import type { AdapterModule, KeyAdapter, KeyAdministration, Report } from '../../adapters/contract/index.ts'
import type { BackendConfig, BackendKind } from './kinds.ts'

type OptionsOf<Kind extends BackendKind> = Omit<Extract<BackendConfig, { kind: Kind }>, 'kind'>
type Module = AdapterModule<OptionsOf<BackendKind>>

/** The only place that names an adapter. Each is loaded when it is first needed, so that one nobody uses costs nothing. */
const modules: { readonly [Kind in BackendKind]: () => Promise<AdapterModule<OptionsOf<Kind>>> } = {
  software: () => import('../../adapters/software/index.ts'),
  kmip: () => import('../../adapters/kmip/index.ts'),
  pkcs11: () => import('../../adapters/pkcs11/index.ts'),
}

export async function openBackend(settings: BackendConfig, report: Report): Promise<KeyAdapter> {
  const module: Module = await modules[settings.kind]()
  return module.open(settings, report)
}

/** `undefined` where the backend's keys can only be managed with its own tools. */
export async function administerBackend(settings: BackendConfig): Promise<KeyAdministration | undefined> {
  const module: Module = await modules[settings.kind]()
  return module.administer?.(settings)
}
