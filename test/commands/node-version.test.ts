import { expect, it } from 'vitest'
import { Cli, CLI } from './cli.ts'

/** The command under a Node.js that says that it is of another version. */
const under = (version: string) => {
  const lie = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
  const command = [process.execPath, '--import', `data:text/javascript,${encodeURIComponent(lie)}`, CLI] as const
  return new Cli(['--version'], { command: [...command] }).ended
}

it.each(['18.20.8', '20.18.3'])('Node.js %s is told to be too old', async (version) => {
  expect(await under(version)).toMatchObject({
    code: 1,
    stderr: `ekm-gateway: Node.js 20.19 or newer is needed, and this is ${version}\nsee docs/errors.md#node_too_old\n`,
  })
})

it.each(['20.19.0', '22.1.0'])('Node.js %s is new enough', async (version) => {
  expect(await under(version)).toMatchObject({ code: 0, stderr: '' })
})
