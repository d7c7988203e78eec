import { labelText, seriesText, type MetricSnapshot } from './snapshot.ts'

/** The keys that a pool lists. */
export interface ListedKeys {
  readonly pool: string
  readonly listed: number
  /** Of these, the ones that could be used when they were last looked at. */
  readonly usable: number
  /** Those whose standby could not be compared yet, and those whose standby holds another key. */
  readonly unproven: number
  readonly different: number
}

/** What the gauges of one process show. It is looked at once for all of them. */
export interface Observed {
  readonly backends: readonly ObservedBackend[]
  readonly pools: readonly { readonly name: string; readonly ready: boolean }[]
  readonly keys: readonly ListedKeys[]
  /** Of the certificates that clients showed last, each by a name that the pool's configuration has. */
  readonly clients: readonly { readonly pool: string; readonly client: string; readonly days: number }[]
  readonly connections: { readonly allowed: number; readonly verified: number; readonly unverified: number }
  /** Since the process began. */
  readonly logLinesLost: number
}

interface ObservedBackend {
  readonly name: string
  readonly up: boolean
  readonly running: number
  readonly waiting: number
  readonly connections: number
  readonly connectionsWanted?: number | undefined
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

/** One gauge, and how it is read from what is `Observed` at a scrape. */
export interface Gauge<Observed> {
  readonly name: string
  readonly help: string
  /** What several processes come to. */
  readonly aggregator: 'sum' | 'min' | 'max'
  readonly samples: (observed: Observed) => readonly Sample[]
}

/** The gauges of one moment. */
export const gaugeData = <Observed>(gauges: readonly Gauge<Observed>[], observed: Observed): MetricSnapshot =>
  gauges.map(({ name, help, aggregator, samples }) => ({
    name,
    help,
    type: 'gauge',
    aggregator,
    series: new Map(
      samples(observed).map(([labels, value]) => [seriesText(name, labelText(Object.entries(labels))), [value]]),
    ),
  }))

/** @param value `undefined` where the backend has no such series */
const ofBackends =
  (value: (backend: ObservedBackend) => number | undefined) =>
  ({ backends }: Observed): Sample[] =>
    backends.flatMap((backend) => {
      const found = value(backend)
      return found === undefined ? [] : [[{ backend: backend.name }, found]]
    })

const ofKeys =
  (count: (keys: ListedKeys) => number) =>
  ({ keys }: Observed): Sample[] =>
    keys.map((one) => [{ pool: one.pool }, count(one)])

const gauges: readonly Gauge<Observed>[] = [
  {
    name: 'ekm_backend_up',
    help: '1 while requests go to the backend, 0 while it is down and only probed.',
    aggregator: 'min',
    samples: ofBackends(({ up }) => Number(up)),
  },
  {
    name: 'ekm_backend_running',
    help: 'Calls that the backend is working on.',
    aggregator: 'sum',
    samples: ofBackends(({ running }) => running),
  },
  {
    name: 'ekm_backend_queue_length',
    help: 'Calls that are queued for the backend.',
    aggregator: 'sum',
    samples: ofBackends(({ waiting }) => waiting),
  },
  {
    name: 'ekm_backend_connections',
    help: 'Open sessions or connections to the backend.',
    aggregator: 'sum',
    samples: ofBackends(({ connections }) => connections),
  },
  {
    name: 'ekm_backend_connections_wanted',
    help: 'Sessions that the gateway keeps open while the backend is healthy.',
    aggregator: 'sum',
    samples: ofBackends(({ connectionsWanted }) => connectionsWanted),
  },
  {
    name: 'ekm_pool_ready',
    help: '1 if the pool can be served, by its backend or by proven standbys, otherwise 0.',
    aggregator: 'min',
    samples: ({ pools }) => pools.map(({ name, ready }) => [{ pool: name }, Number(ready)]),
  },
  {
    name: 'ekm_keys_listed',
    help: 'Keys that the pool lists.',
    aggregator: 'max',
    samples: ofKeys(({ listed }) => listed),
  },
  {
    name: 'ekm_keys_usable',
    help: 'Listed keys that could be used when they were last examined.',
    aggregator: 'min',
    samples: ofKeys(({ usable }) => usable),
  },
  {
    name: 'ekm_standbys_unproven',
    help: 'Keys whose standby has not been compared with their first backend yet.',
    aggregator: 'max',
    samples: ofKeys(({ unproven }) => unproven),
  },
  {
    name: 'ekm_standbys_different',
    help: 'Keys whose standby holds a different key and is therefore not used.',
    aggregator: 'max',
    samples: ofKeys(({ different }) => different),
  },
  {
    name: 'ekm_client_certificate_days_left',
    help: "Days until the client's last shown certificate expires; negative afterwards.",
    aggregator: 'max',
    samples: ({ clients }) => clients.map(({ pool, client, days }) => [{ pool, client }, days]),
  },
  {
    name: 'ekm_connections',
    help: 'Open connections by client: allowed by a pool, verified but allowed by none, or unverified.',
    aggregator: 'sum',
    samples: ({ connections }) => Object.entries(connections).map(([client, count]) => [{ client }, count]),
  },
]

/** Every gauge of one process. */
export const gaugesOf = (observed: Observed): MetricSnapshot => gaugeData(gauges, observed)
