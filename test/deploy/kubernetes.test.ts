import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { kubernetesTools, type KubernetesTools } from './kubernetes.ts'
import { output } from './support.ts'

const CHART = 'deploy/helm/ekm-gateway'
const EXAMPLE = ['--values', 'deploy/helm/example-values.yaml']

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: { readonly template?: { readonly spec: { readonly terminationGracePeriodSeconds?: number } } }
}

let workspace: Workspace
let tools: KubernetesTools
beforeAll(async () => {
  workspace = await makeWorkspace()
  tools = kubernetesTools(workspace.path('tools'))
})
afterAll(() => workspace.remove())

const render = (...values: string[]) => tools.helm('template', 'ekm-gateway', CHART, ...EXAMPLE, ...values)
const manifests = (text: string) => parseAllDocuments(text).map((document) => document.toJS() as Manifest)

describe('the chart', () => {
  it('passes Helm’s own checks', () => {
    expect(tools.helm('lint', '--strict', CHART, ...EXAMPLE)).toContain('0 chart(s) failed')
  })

  it.each([
    ['as the example has it', []],
    ['without an admin token', ['--set', 'adminToken=']],
    ['with keys of a software store', ['--set', 'keys.secret.secretName=store,keys.secret.defaultMode=288']],
    ['with one replica, IPv6 and no limits', ['--set', 'replicas=1,address=::,config.limits=null']],
    ['inside of the cluster', ['--set', 'service.type=ClusterIP,readyPool=example,spread=false']],
  ] as const)('renders valid Kubernetes manifests, %s', (_what, values) => {
    const file = workspace.path('rendered.yaml')
    const text = render(...values)
    writeFileSync(file, text)
    tools.validate(file)
    const kinds = manifests(text).map(({ kind }) => kind)
    expect(kinds).toEqual(
      expect.arrayContaining(['Deployment', 'Service', 'PodDisruptionBudget', 'NetworkPolicy', 'PrometheusRule']),
    )
  })

  it.each([
    ['a value that is misspelt', 'replica=3', /additional properties 'replica' not allowed/],
    ['no replica', 'replicas=0', /at '\/replicas'/],
    ['no Secret', 'secret=', /at '\/secret'/],
    ['no pool', 'config.pools=null', /missing property 'pools'/],
    ['no backend', 'config.backends=null', /missing property 'backends'/],
  ])('is held to its schema: %s is refused', (_what, value, message) => {
    expect(() => render('--set', value)).toThrow(message)
  })

  it('says what is missing if nothing is said', () => {
    const nothing = () => tools.helm('template', 'ekm-gateway', CHART)
    // Helm names them in any order.
    expect(nothing).toThrow(/at '\/config\/backends'/)
    expect(nothing).toThrow(/at '\/config\/pools'/)
  })

  const pod = (...values: string[]) =>
    manifests(render(...values)).find(({ kind }) => kind === 'Deployment')?.spec?.template

  it.each([
    ['workers', 'config.workers=2'],
    ['listen.clientAuth', 'config.listen.clientAuth=handshake'],
    ['admin.hosts', 'config.admin.hosts={ekm.example.com}'],
    ['log', 'config.log.level=warn'],
  ])('replaces pods for %s, which a gateway that runs cannot change', (_what, value) => {
    expect(pod('--set', value)).not.toEqual(pod())
  })

  it('replaces no pod for what a gateway that runs can change', () => {
    const changed = 'config.pools[0].pathPrefix=another,config.reload.watch=true,files.new=a file'
    expect(pod('--set', changed)).toEqual(pod())
  })

  it.each([
    ['drainSeconds=10', 21],
    ['drainSeconds=60,config.limits.drainMs=30500', 96],
  ])('gives a pod the time of its drain: %j', (value, seconds) => {
    expect(pod('--set', value)?.spec.terminationGracePeriodSeconds).toBe(seconds)
  })

  it('makes a configuration that the gateway accepts', () => {
    const config = manifests(render()).find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'ekm-gateway',
    )
    const settings = parse(config?.data?.['gateway.yaml'] ?? '') as Record<string, object>
    expect(settings).toMatchObject({ listen: { port: 8443 }, admin: { port: 9464 }, log: { destination: 'stdout' } })
    const schema = JSON.parse(output(process.execPath, ['dist/programs/cli.js', 'config', 'schema'])) as {
      properties: Record<string, { properties?: Record<string, unknown> }>
    }
    for (const [section, members] of Object.entries(settings)) {
      expect(Object.keys(schema.properties)).toContain(section)
      const known = schema.properties[section]?.properties
      if (known !== undefined) expect(Object.keys(known)).toEqual(expect.arrayContaining(Object.keys(members)))
    }
  })

  it('has Prometheus send the admin token, and mounts it where the configuration says', () => {
    const all = manifests(render())
    const of = (kind: string) => JSON.stringify(all.filter((one) => one.kind === kind))
    expect(of('ServiceMonitor')).toContain(
      '"authorization":{"type":"Bearer","credentials":{"name":"ekm-gateway-admin","key":"token"}}',
    )
    expect(of('ConfigMap')).toContain('file: /etc/ekm-gateway/admin/token')
    expect(of('Deployment')).toContain('{"name":"admin-token","mountPath":"/etc/ekm-gateway/admin","readOnly":true}')
    expect(of('Deployment')).toContain('"secretName":"ekm-gateway-admin"')
  })

  it('carries the alert rules of deploy/prometheus', () => {
    expect(readFileSync(`${CHART}/rules.yaml`, 'utf8')).toBe(readFileSync('deploy/prometheus/rules.yaml', 'utf8'))
  })

  it('is what the plain manifests were rendered from', () => {
    const plain = render('--set', 'serviceMonitor.enabled=false,prometheusRule.enabled=false')
    expect(readFileSync('deploy/kubernetes/ekm-gateway.yaml', 'utf8')).toBe(plain)
  })
})
