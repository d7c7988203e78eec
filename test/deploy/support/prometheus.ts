import { spawn, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { takePort } from '../../commands/serving.ts'
import type { Workspace } from '../../support/workspace.ts'
import { component } from './component.ts'

const root = new URL('../../..', import.meta.url).pathname
const PATIENCE_MS = 60_000

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

/** A real Prometheus that scrapes a gateway's admin port each second, with the shipped rules. */
export interface Prometheus {
  query(expression: string): Promise<readonly Sample[]>
  stop(): Promise<void>
}

/** An alert as Alertmanager sends it to a webhook. */
export interface Delivered {
  readonly status: 'firing' | 'resolved'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** A real Alertmanager, and a webhook that receives its alerts. */
export interface Alertmanager {
  readonly port: number
  readonly delivered: readonly Delivered[]
  stop(): Promise<void>
}

async function freePort(): Promise<number> {
  const { port, release } = await takePort()
  await release()
  return port
}

async function started(child: ChildProcess, url: string): Promise<() => Promise<void>> {
  let output = ''
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
  }
  const deadline = performance.now() + PATIENCE_MS
  while (child.exitCode === null && performance.now() < deadline) {
    const isReady = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) return stop
    await sleep(100)
  }
  await stop()
  throw new Error(`${child.spawnfile} does not start: ${output.slice(-2000)}`)
}

const stdio = ['ignore', 'ignore', 'pipe'] as const

export async function startPrometheus(
  workspace: Workspace,
  adminPort: number,
  alertmanager?: Alertmanager,
): Promise<Prometheus> {
  const program = component('/usr/bin/prometheus', 'prometheus')
  const file = await workspace.write(
    'prometheus.yaml',
    stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [join(root, 'deploy/prometheus/rules.yaml')],
      scrape_configs: [{ job_name: 'ekm-gateway', static_configs: [{ targets: [`127.0.0.1:${adminPort}`] }] }],
      ...(alertmanager && {
        alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${alertmanager.port}`] }] }] },
      }),
    }),
  )
  const address = `127.0.0.1:${await freePort()}`
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${workspace.path('prometheus')}`,
    `--web.listen-address=${address}`,
  ]
  const stop = await started(spawn(program, args, { stdio: [...stdio] }), `http://${address}/-/ready`)
  return {
    query: async (expression) => {
      const reply = await fetch(`http://${address}/api/v1/query`, {
        method: 'POST',
        body: new URLSearchParams({ query: expression }),
      })
      const { status, error, data } = (await reply.json()) as {
        status: string
        error?: string
        data?: { result: Sample[] }
      }
      if (status !== 'success' || data === undefined) throw new Error(`${expression}: ${error ?? 'no data'}`)
      return data.result
    },
    stop,
  }
}

export async function startAlertmanager(workspace: Workspace): Promise<Alertmanager> {
  const program = component('/usr/bin/prometheus-alertmanager', 'prometheus-alertmanager')
  const delivered: Delivered[] = []
  const webhook = createServer((incoming, outgoing) => {
    let text = ''
    incoming.on('data', (chunk: Buffer) => (text += chunk.toString()))
    incoming.on('end', () => {
      delivered.push(...(JSON.parse(text) as { alerts: Delivered[] }).alerts)
      outgoing.end()
    })
  })
  await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve))
  const address = webhook.address()
  const webhookPort = typeof address === 'object' && address !== null ? address.port : 0
  const file = await workspace.write(
    'alertmanager.yaml',
    stringify({
      route: { receiver: 'test', group_by: ['alertname'], group_wait: '1s', group_interval: '1s' },
      receivers: [
        { name: 'test', webhook_configs: [{ url: `http://127.0.0.1:${webhookPort}/`, send_resolved: true }] },
      ],
    }),
  )
  const port = await freePort()
  const args = [
    `--config.file=${file}`,
    `--storage.path=${workspace.path('alertmanager')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
  ]
  const stop = await started(spawn(program, args, { stdio: [...stdio] }), `http://127.0.0.1:${port}/-/ready`)
  return {
    port,
    delivered,
    stop: async () => {
      await stop()
      webhook.close()
    },
  }
}
