import { describe, expect, it, vi } from 'vitest'
import { AdapterError, type CallSignal } from '../../adapters/contract/index.ts'
import { StopSignal } from '../../src/ekm/backend/stop-signal.ts'

const reason = new AdapterError('CANCELLED', 'the client went away')

interface Source {
  readonly signal: CallSignal
  readonly fire: (reason: AdapterError) => void
}

const own = (): Source => {
  const signal = new StopSignal()
  return { signal, fire: (why) => signal.fire(why) }
}
const platform = (): Source => {
  const controller = new AbortController()
  return { signal: controller.signal, fire: (why) => controller.abort(why) }
}

describe.each([
  ['of a call', own],
  ['of the platform', platform],
])('a stop signal %s', (_what, make) => {
  it('has not fired at first', () => {
    const { signal } = make()
    expect([signal.aborted, signal.reason]).toEqual([false, undefined])
    expect(() => signal.throwIfAborted()).not.toThrow()
  })

  it('notifies each listener once, and keeps its first reason', () => {
    const { signal, fire } = make()
    const [one, other] = [vi.fn(), vi.fn()]
    signal.addEventListener('abort', one, { once: true })
    signal.addEventListener('abort', other)
    fire(reason)
    fire(new AdapterError('CLOSED', 'too late'))
    expect([one.mock.calls.length, other.mock.calls.length]).toEqual([1, 1])
    expect([signal.aborted, signal.reason]).toEqual([true, reason])
    expect(() => signal.throwIfAborted()).toThrow(reason)
  })

  it('does not notify a listener that was removed, or added too late', () => {
    const { signal, fire } = make()
    const [gone, late] = [vi.fn(), vi.fn()]
    signal.addEventListener('abort', gone)
    signal.removeEventListener('abort', gone)
    fire(reason)
    signal.addEventListener('abort', late)
    expect([gone.mock.calls.length, late.mock.calls.length]).toEqual([0, 0])
  })

  it('lets a listener remove another while it fires', () => {
    const { signal, fire } = make()
    const other = vi.fn()
    signal.addEventListener('abort', () => signal.removeEventListener('abort', other))
    signal.addEventListener('abort', other)
    fire(reason)
    expect(other).not.toHaveBeenCalled()
  })
})
