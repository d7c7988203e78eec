// What outcomes of runs mean. FIRST is of a run of all tests, SECOND of a run of the files that failed; it need not exist.
//
//   node .ci/verdict.mjs files FIRST      the files in which something failed, one a line; none if that is too much to try
//                                         again, or if no file is to blame
//   node .ci/verdict.mjs FIRST SECOND     what failed, with its messages, and the counts; exit status 1 if anything did
import { existsSync, readFileSync } from 'node:fs'
import { argv, exit, stdout } from 'node:process'

/** If more fails, a busy machine is not the cause. */
const MAX_TRIED_AGAIN = 5

const print = (line) => stdout.write(`${line}\n`)
const read = (file) => JSON.parse(readFileSync(file, 'utf8'))
const failuresOf = ({ files }) => files.flatMap(({ failures }) => failures)
const sum = (files, what) => files.reduce((total, file) => total + file[what], 0)

function filesToTryAgain({ files, unhandled }) {
  if (unhandled.length > 0 || failuresOf({ files }).length > MAX_TRIED_AGAIN) return []
  return files.filter(({ failures }) => failures.length > 0).map(({ file }) => file)
}

function printVerdict(first, second) {
  const failures = failuresOf(first)
  const isWell = second !== undefined && failuresOf(second).length + second.unhandled.length === 0
  const again = isWell ? second.files : []
  const files = [...first.files.filter(({ file }) => !again.some((other) => other.file === file)), ...again]
  const tried = isWell ? 'PASSED ONLY THE SECOND TIME' : 'FAILED'
  for (const { name, message } of failures) print(`${tried} ${name}\n${message}`)
  for (const message of first.unhandled) print(`FAILED outside of the tests\n${message}`)
  const [passed, notRun] = [sum(files, 'passed'), sum(files, 'notRun')]
  if (notRun > 0) print(`${notRun} tests did not run`)
  const failed = failuresOf({ files }).length + first.unhandled.length
  print(`${passed} passed, ${failed} failed`)
  if (passed === 0 || failed + notRun > 0) exit(1)
}

const [, , ...words] = argv
if (words[0] === 'files') filesToTryAgain(read(words[1])).forEach(print)
else printVerdict(read(words[0]), existsSync(words[1]) ? read(words[1]) : undefined)
