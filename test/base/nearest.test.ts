import { describe, expect, it } from 'vitest'
import { didYouMean, nearest } from '../../src/base/nearest.ts'

const settings = ['host', 'port', 'tls', 'clientAuth', 'certificate', 'caCertificates', 'deadlineMs', 'drainMs']

describe('the nearest word', () => {
  it.each([
    ['prot', 'port'],
    ['hosts', 'host'],
    ['hots', 'host'],
    ['clientauth', 'clientAuth'],
    ['clinetAuth', 'clientAuth'],
    ['cert', 'certificate'],
    ['certificates', 'certificate'],
    ['deadlineMS', 'deadlineMs'],
    ['deadline', 'deadlineMs'],
    ['tsl', 'tls'],
  ])('to %s is %s', (word, meant) => {
    expect(nearest(word, settings)).toBe(meant)
  })

  it.each(['colour', 'x', '', 'constructor', 'p', 'tl5x', 'a'.repeat(1_000_000)])('to %j is none', (word) => {
    expect(nearest(word, settings)).toBeUndefined()
  })

  it('is the first of several words of equal distance', () => {
    expect(nearest('kez', ['key', 'ken'])).toBe('key')
  })

  it('does not exist where several words begin with the given one', () => {
    expect(nearest('aes-', ['aes-one-of-many', 'aes-two-of-many'])).toBeUndefined()
  })
})

it('a suggestion can be appended to a message', () => {
  expect([didYouMean('prot', settings), didYouMean('colour', settings)]).toEqual(['; did you mean port?', ''])
})
