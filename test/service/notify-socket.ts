import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Workspace } from '../support/workspace.ts'
import { until } from '../commands/cli.ts'

/** Prints each datagram as JSON. It takes no file descriptors, which ends systemd-notify's barrier. */
const RECEIVER = `
import json, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print('[]', flush=True)
while True:
    print(json.dumps(receiver.recv(65536).decode().splitlines()), flush=True)
`

/** A socket that receives notifications in place of systemd. */
export interface NotifySocket {
  readonly path: string
  /** The notifications so far, without the barriers of systemd-notify. */
  readonly received: readonly (readonly string[])[]
  /** Resolves with the first notification that has an assignment with this beginning. */
  receives(assignment: string, count?: number): Promise<readonly string[]>
  close(): void
}

export async function openNotifySocket(workspace: Workspace): Promise<NotifySocket> {
  const path = workspace.path('notify')
  const receiver = spawn('python3', ['-c', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const received: string[][] = []
  createInterface(receiver.stdout).on('line', (line) => {
    const assignments = JSON.parse(line) as string[]
    if (assignments[0] !== 'BARRIER=1') received.push(assignments)
  })
  await until('the socket', () => received.shift())
  return {
    path,
    received,
    receives: (assignment, count = 1) =>
      until(`${count} times ${assignment}`, () => {
        const found = received.filter((all) => all.some((one) => one.startsWith(assignment)))
        return found.length >= count ? found[count - 1] : undefined
      }),
    close: () => receiver.kill(),
  }
}
