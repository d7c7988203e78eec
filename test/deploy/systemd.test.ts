import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { artefact, output } from './support.ts'

const UNIT = 'deploy/systemd/ekm-gateway.service'

it('the unit is exposed by 2.0 at most, by systemd’s own measure', () => {
  const [, score] =
    /exposure level for ekm-gateway\.service: ([\d.]+)/.exec(
      output('systemd-analyze', ['security', '--offline=true', '--no-pager', join(process.cwd(), UNIT)]),
    ) ?? []
  expect(Number(score)).toBeGreaterThan(0)
  expect(Number(score)).toBeLessThanOrEqual(2)
})

it('the unit loads every secret that the installed configuration names', () => {
  const named = [...readFileSync('deploy/deb/gateway.yaml', 'utf8').matchAll(/secrets\/([\w.]+\w)/g)].map(
    ([, name]) => name,
  )
  const loaded = [
    ...readFileSync(UNIT, 'utf8').matchAll(/^LoadCredential=([^:]+):\/etc\/ekm-gateway\/secrets\/\1$/gm),
  ].map(([, name]) => name)
  expect(named.length).toBeGreaterThan(1)
  expect(loaded.sort()).toEqual(named.sort())
})

/** The NAME=VALUE lines of scenario.sh, from a bare Debian 12 with systemd and without a network. */
const seen = new Map<string, string>()
const directory = mkdtempSync(join(tmpdir(), 'ekm-debian-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** The package with a later version. */
function nextVersion(from: string, to: string): void {
  const unpacked = join(directory, 'unpacked')
  output('dpkg-deb', ['-R', from, unpacked])
  const control = join(unpacked, 'DEBIAN/control')
  writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*$/m, '$&+next'))
  output('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z1', '-b', unpacked, to])
}

beforeAll(() => {
  const root = join(directory, 'root')
  output('debootstrap', ['--variant=minbase', '--include=systemd,systemd-sysv,dbus', 'bookworm', root])
  copyFileSync(artefact('.deb'), join(root, 'first.deb'))
  nextVersion(artefact('.deb'), join(root, 'second.deb'))
  copyFileSync('test/deploy/scenario.sh', join(root, 'scenario.sh'))
  copyFileSync('test/deploy/probe.service', join(root, 'etc/systemd/system/probe.service'))
  const systemd = ['/bin/sh', '-c', 'exec /lib/systemd/systemd --unit=probe.service']
  output('systemd-nspawn', [
    '-q',
    '-D',
    root,
    '--register=no',
    '--keep-unit',
    '--private-network',
    '--console=pipe',
    ...systemd,
  ])
  for (const line of readFileSync(join(root, 'scenario.out'), 'utf8').trim().split('\n')) {
    const at = line.indexOf('=')
    seen.set(line.slice(0, at), line.slice(at + 1))
  }
  expect([...seen]).toContainEqual(['done', 'yes'])
})

describe('the Debian package', () => {
  it.each([
    ['is installed without a network', 'installed', '0'],
    ['does not start a configuration that nobody has seen', 'not_started', 'inactive'],
    ['brings a configuration that is valid', 'valid', '/etc/ekm-gateway/gateway.yaml is valid (pools: 1, backends: 1)'],
    ['makes a key as the service’s user', 'created', 'created aes-1  oct 256  enabled'],
    ['is started', 'active', 'active'],
    ['answers on port 443, and lets nobody in', 'answered', '401'],
    ['does not run as root', 'not_root', '0'],
    ['may bind to low ports, and nothing else', 'capabilities', '0000000000000400'],
    ['leaves secrets to root', 'secret_of_root', 'root 600'],
    ['says in words how it is', 'status', 'Serving on port 443. Pools ready: 1 of 1.'],
    ['is reloaded', 'reloaded', '0'],
    ['is the same process after a reload', 'reloaded_same_process', '0'],
    ['serves on after a reload that failed', 'after_failed_reload', 'active'],
    ['is left alone by the watchdog while it lives', 'fed', '0'],
    ['is restarted by the watchdog when it hangs', 'starved', '1'],
    ['serves after that', 'after_watchdog', 'active'],
    ['writes its log to the file that a shipper follows', 'logged_to_file', '0'],
    ['lets nobody else read that', 'log_of_root_alone', '700'],
    ['is upgraded', 'upgraded', '0'],
    ['restarts at an upgrade', 'upgraded_restarted', '1'],
    ['serves after an upgrade', 'upgraded_active', 'active'],
    ['keeps the operator’s settings', 'own_setting', '1'],
    ['keeps the keys', 'upgraded_keys', 'aes-1  oct 256  enabled'],
    ['ends well', 'stopped', 'success'],
    ['leaves no program and no configuration when purged', 'purged_files', '0'],
    ['leaves keys alone when purged', 'kept_keys', 'aes-1.jwe store.json'],
    ['leaves what opens them too', 'kept_secrets', 'server.key store.passphrase'],
    ['finds the keys when installed again', 'again', 'aes-1  oct 256  enabled'],
    ['puts no passphrase into the journal', 'journal_secrets', '0'],
  ])('%s', (_what, name, value) => {
    expect(seen.get(name)).toBe(value)
  })

  it('ends a start with a wrong configuration with 78, and systemd does not try again', () => {
    expect(seen.get('without_store')).toMatch(/ 78 0$/)
  })

  it('says that a reload failed, and where to look', () => {
    expect(seen.get('reload_failed')).toMatch(/The last reload failed .* reload_failed in the log/)
  })

  it('is purged', () => {
    expect(seen.get('purged')).toMatch(/ 0$|^0$/)
  })
})
