import { mkdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parse } from 'yaml'
import { version } from '../../src/base/version.ts'
import { argumentsOf, makeSite, usual } from '../commands/init/site.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { artefact, output } from './support.ts'

const MAX_MB = 150
const NODE = '/usr/lib/ekm-gateway/lib/node'
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024']
const LOCKED = ['--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges']

interface Service {
  readonly command: readonly string[]
  readonly volumes: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly healthcheck?: { readonly test: readonly string[] }
}
interface Compose {
  readonly services: { readonly prepare: Service; readonly gateway: Service }
}

let workspace: Workspace
let podman: (...args: string[]) => string
beforeAll(async () => {
  workspace = await makeWorkspace()
  for (const name of ['images', 'run', 'secrets']) mkdirSync(workspace.path(name))
  // A runtime that needs no init system and no kernel module for layers.
  const own = ['--storage-driver', 'vfs', '--root', workspace.path('images'), '--runroot', workspace.path('run')]
  const engine = [...own, '--runtime', 'runc', '--cgroup-manager', 'cgroupfs']
  podman = (...args) => output('podman', [...engine, ...args])
  podman('load', '--quiet', '--input', artefact('-oci.tar'))
})
afterAll(async () => {
  podman('rm', '--all', '--force', '--time', '1')
  podman('rmi', '--all', '--force')
  await workspace.remove()
})

const image = `localhost/ekm-gateway:${version}`
const run = (...args: string[]) => podman('run', '--rm', ...LIMITS, ...LOCKED, ...args)

describe('the image', () => {
  it('runs as its own user, on a root that cannot be written, without a network or a capability', () => {
    expect(run('--network', 'none', image, '--version')).toBe(`${version}\n`)
    const script = 'console.log(process.getuid(), process.getgid(), process.version.split(".")[0])'
    expect(run('--network', 'none', '--entrypoint', NODE, image, '--eval', script)).toBe('65532 65532 v24\n')
  })

  it(`has at most ${MAX_MB} MB`, () => {
    expect(Number(podman('image', 'inspect', '--format', '{{.Size}}', image))).toBeLessThanOrEqual(MAX_MB * 1e6)
  })

  it.each(['/bin/sh', '/usr/bin/sh', '/bin/busybox', '/usr/bin/apt', '/usr/bin/dpkg'])('has no %s', (program) => {
    expect(() => run('--network', 'none', '--entrypoint', program, image)).toThrow(/no such file/)
  })

  it('is loaded by Docker too, also by one that knows nothing of OCI', () => {
    expect(podman('pull', '--quiet', `docker-archive:${artefact('-oci.tar')}`)).toBe(
      podman('image', 'inspect', '--format', '{{.Id}}\n', image),
    )
  })

  it.each(['libc6', 'libgcc-s1', 'libstdc++6'])('says to scanners which %s it has', (name) => {
    const script = `for (const file of ['/etc/os-release', '/var/lib/dpkg/status.d/${name}']) console.log(require('fs').readFileSync(file, 'utf8'))`
    const told = run('--network', 'none', '--entrypoint', NODE, image, '--eval', script)
    expect(told).toMatch(/^ID=debian$/m)
    expect(told).toContain(`Package: ${name}\n`)
    expect(told).toContain(
      `Version: ${output('dpkg-query', ['--show', '--showformat', '${Version}', `${name}:amd64`])}\n`,
    )
  })

  it.each([
    ['its own user', '65532:65532'],
    ['a user that nobody knows', '123456:0'],
  ])('makes a first configuration as %s, and serves it', async (_what, user) => {
    const site = await makeSite()
    const folder = site.workspace.directory
    output('chown', ['--recursive', user, folder])
    const own = (mode: string) => [
      '--network',
      'none',
      '--user',
      user,
      '--volume',
      `${folder}:/etc/ekm-gateway:${mode}`,
    ]
    const answers = {
      ...usual,
      port: '8443',
      'az-file': 'azure-client.json',
      backend: 'software',
      'create-key': 'aes-1:AES',
    }
    run(...own('rw'), image, 'init', '--yes', ...argumentsOf(answers))
    const gateway = podman('run', '--detach', ...LIMITS, ...LOCKED, ...own('ro'), image).trim()
    await vi.waitFor(() => expect(podman('logs', gateway)).toContain('"event":"listening"'), 20_000)
    expect(podman('stop', '--time', '20', gateway).trim()).toBe(gateway)
    expect(podman('inspect', '--format', '{{.State.ExitCode}}', gateway).trim()).toBe('0')
    await site.remove()
  })

  it('loads pkcs11js, for which an operator adds a vendor’s library', () => {
    const script =
      "console.log(typeof new (require('/usr/lib/ekm-gateway/lib/app/node_modules/pkcs11js').PKCS11)().load)"
    expect(run('--network', 'none', '--entrypoint', NODE, image, '--eval', script)).toBe('function\n')
  })
})

describe('compose.yaml', () => {
  const { services } = parse(readFileSync('deploy/compose.yaml', 'utf8')) as Compose
  const start = ({ command, volumes, environment = {} }: Service, ...how: string[]) =>
    podman(
      'run',
      ...how,
      ...LIMITS,
      ...LOCKED,
      // The trial has a network of its own, since the host's ports may be taken.
      ...['--network', 'none'],
      ...volumes.flatMap((volume) => ['--volume', volume]),
      ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      image,
      ...command,
    )
  /** Starts the service, and waits until its own health check passes. */
  async function startHealthy(service: Service): Promise<string> {
    const id = start(service, '--detach').trim()
    const [, ...check] = service.healthcheck?.test ?? []
    await vi.waitFor(() => podman('exec', id, ...check), { timeout: 20_000, interval: 500 })
    return id
  }

  it('makes a healthy gateway in two steps', async () => {
    expect(start(services.prepare, '--rm')).toContain('came back')
    const gateway = await startHealthy(services.gateway)
    expect(podman('stop', '--time', '20', gateway).trim()).toBe(gateway)
    expect(podman('inspect', '--format', '{{.State.ExitCode}}', gateway).trim()).toBe('0')
  })

  it('makes a gateway that serves from files as Kubernetes mounts them: owned by root, and readable by the pod’s group', async () => {
    const [volume = ''] = services.gateway.volumes
    const [name = '', target = ''] = volume.split(':')
    const files = podman('volume', 'inspect', '--format', '{{.Mountpoint}}', name).trim()
    output('chown', ['--recursive', 'root:65532', files])
    output('chmod', ['--recursive', 'u=r,g=r,o=', files])
    output('find', [files, '-type', 'd', '-exec', 'chmod', '3777', '{}', '+'])
    const environment = { ...services.gateway.environment, EKM_GATEWAY__LOG__DESTINATION: 'stdout' }
    const mounted = { ...services.gateway, environment, volumes: [`${name}:${target}:ro`] }
    const gateway = await startHealthy(mounted)
    const ready = "fetch('http://127.0.0.1:9464/readyz').then(({ status }) => console.log(status))"
    await vi.waitFor(() => expect(podman('exec', gateway, NODE, '--eval', ready)).toBe('200\n'), { timeout: 10_000 })
  })
})
