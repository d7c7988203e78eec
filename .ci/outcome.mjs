// A reporter of Vitest: writes the outcome of a run, as JSON, into the file that EKM_CI_OUTCOME names.
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { env } from 'node:process'

const MESSAGE_LINES = 12

const shortened = (errors) =>
  errors
    .map(({ message, stack }) => `${message}\n${stack ?? ''}`)
    .join('\n')
    .split('\n')
    .slice(0, MESSAGE_LINES)
    .join('\n')

function outcomeOf(module) {
  const tests = [...module.children.allTests()]
  const inState = (...states) => tests.filter((test) => states.includes(test.result().state))
  const file = relative('.', module.moduleId)
  const around = [module, ...module.children.allSuites()].filter((suite) => suite.errors().length > 0)
  return {
    file,
    passed: inState('passed').length,
    notRun: inState('skipped', 'pending').length,
    failures: [
      ...inState('failed').map((test) => ({
        name: `${file} > ${test.fullName}`,
        message: shortened(test.result().errors),
      })),
      // In a hook, or outside of any suite.
      ...around.map((suite) => ({ name: `${file}, around its tests`, message: shortened(suite.errors()) })),
    ],
  }
}

export default class Outcome {
  onTestRunEnd(modules, unhandled) {
    const outcome = {
      files: modules.map(outcomeOf),
      unhandled: unhandled.map((error) => shortened([error])),
    }
    writeFileSync(env.EKM_CI_OUTCOME, JSON.stringify(outcome))
  }
}
