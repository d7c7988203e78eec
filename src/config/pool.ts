import * as v from 'valibot'
import { isKeyName, KEY_NAME_RULE } from '../../adapters/contract/index.ts'
import { clientEntry } from './clients.ts'
import { trimSlashes } from './cross-check.ts'
import { about, integer, listOf, mapping, table, text, type References } from '../settings/fields.ts'

/** The section `info`, at the top level or of a pool. */
export const info = () =>
  mapping({
    proxyVendor: v.exactOptional(about('The value of proxy_vendor. By default "ekm-gateway".', text(), 'Contoso')),
    proxyName: v.exactOptional(
      about('The value of proxy_name. By default "ekm-gateway" and its version.', text(), 'ekm-gateway west'),
    ),
    ekmVendor: v.exactOptional(
      about('The value of ekm_vendor. By default the vendor that the backend reports.', text(), 'Contoso'),
    ),
    ekmProduct: v.exactOptional(
      about('The value of ekm_product. By default the product that the backend reports.', text(), 'Contoso vault'),
    ),
  })

const PREFIX_RULE =
  'must be at most 64 characters of A-Z, a-z, 0-9, "/" and "-", without "//"; Azure counts the slash in front, written or ' +
  'not, and one at the end is dropped'
/** Without that slash. */
const MAX_PREFIX = 63

export const pathPrefix = () =>
  v.pipe(
    v.string(PREFIX_RULE),
    v.regex(/^\/?(?:[A-Za-z0-9-]+(?:\/[A-Za-z0-9-]+)*\/?)?$/, PREFIX_RULE),
    v.transform(trimSlashes),
    v.maxLength(MAX_PREFIX, PREFIX_RULE),
  )

const keyEntry = () =>
  v.nullable(
    mapping({
      ref: v.exactOptional(
        about("The key's name in the backend. By default the external key id.", text(), 'payroll-2025'),
      ),
      standby: v.exactOptional(
        about(
          'A second backend that holds the same key. It serves while the first is down, after the gateway has proved that both keys are the same.',
          mapping({
            backend: about('The name of the second backend.', text(), 'hsm-2'),
            ref: v.exactOptional(
              about("The key's name in the second backend. By default the external key id.", text(), 'payroll-2025'),
            ),
          }),
        ),
      ),
    }),
  )

const keys = () =>
  v.union(
    [
      v.literal('all'),
      table(
        v.pipe(v.string(), v.check(isKeyName, `must be named with ${KEY_NAME_RULE}`), v.title('ID')),
        keyEntry(),
        'must be "all", or a mapping of external key ids, each {}, or with ref and standby',
      ),
    ],
    'must be "all", or a mapping of external key ids, each {}, or with ref and standby',
  )

const poolLimits = () =>
  mapping({
    concurrency: v.exactOptional(
      about(
        "The most calls of this pool to one backend at a time. By default the backend's own limit.",
        integer(1, 4096),
        32,
      ),
    ),
    requestsPerSecond: v.exactOptional(
      about('The most requests for keys in one second. The next one is answered with 429.', integer(1, 1_000_000), 500),
    ),
  })

/** An entry of `pools`: one Azure Managed HSM, its clients and its keys. */
export const pool = (references: References) =>
  mapping({
    name: about("The pool's name in the log.", text(), 'contoso'),
    pathPrefix: v.optional(
      about(
        'The part of the path before the operation: the --path-prefix of az. It may be empty.',
        pathPrefix(),
        'azureekm/contoso',
      ),
      '',
    ),
    clients: v.optional(
      about(
        'Who may use the pool: the allow-list. Each entry pairs common names with the roots that vouch for them.',
        listOf(clientEntry(references)),
        [{ azureCertificate: 'contoso.json' }],
      ),
      [],
    ),
    backend: about('The name of the backend that has the keys.', text(), 'hsm'),
    keys: about(
      'The external key ids that may be used, or "all": every key of the backend whose name can be an external key id.',
      keys(),
      { 'payroll-2027': {}, payroll: { ref: 'payroll-2025' } },
    ),
    limits: v.optional(about('Limits on what this pool may ask.', poolLimits()), {}),
    info: v.optional(about('What info answers for this pool, instead of the top-level info.', info()), {}),
  })
