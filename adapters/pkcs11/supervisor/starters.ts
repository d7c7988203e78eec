import { Starter, type StartListener } from './starter.ts'

/**
 * Milliseconds. A starter that has not started a host by then is stuck and is replaced. One that has not begun has longer:
 * on a busy machine no other would be quicker.
 */
const START_TIMEOUT_MS = { first: 10_000, next: 2000 }

/** What starts the hosts. */
export type StartsHosts = Pick<Starters, 'start' | 'close'>

/** Has a starter start each HSM host, and replaces a starter that is lost or stuck. */
export class Starters {
  #starter: Starter | undefined

  /**
   * @param environment all that the host sees of the gateway's environment
   * @returns a function that cancels the order, or ends the host
   */
  start(environment: NodeJS.ProcessEnv, listener: StartListener): () => void {
    const starter = (this.#starter ??= this.#newStarter(environment))
    const stopHost = starter.start(environment, {
      started: (pid, channel) => {
        clearTimeout(timer)
        listener.started(pid, channel)
      },
      ended: (why) => {
        clearTimeout(timer)
        listener.ended(why)
      },
    })
    const stop = () => {
      clearTimeout(timer)
      stopHost()
    }
    const timer = setTimeout(
      () => {
        stop()
        starter.giveUp()
        listener.ended('the starter did not start the HSM host in time')
      },
      START_TIMEOUT_MS[starter.hasBegun ? 'next' : 'first'],
    )
    return stop
  }

  /** Closes the starter. It exits after its last host. */
  close(): void {
    this.#starter?.retire()
    this.#starter = undefined
  }

  #newStarter(environment: NodeJS.ProcessEnv): Starter {
    const starter = new Starter(environment, () => {
      if (this.#starter === starter) this.#starter = undefined
    })
    return starter
  }
}
