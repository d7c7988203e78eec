import { Starter, type StartListener } from './starter.ts'

/** A starter that has not started a host by then is stuck, and another takes its place. */
const START_TIMEOUT_MS = 2000

/** Starts HSM hosts, never as the gateway's own children, for as long as it takes. */
export class HostStarter {
  #starter: Starter | undefined

  /** `environment` is all that the host sees of the gateway's. Gives a function that takes the order back, or ends the host. */
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
    const timer = setTimeout(() => {
      stop()
      starter.giveUp()
      listener.ended('the process that starts HSM hosts did not do so in time')
    }, START_TIMEOUT_MS)
    return stop
  }

  /** What starts hosts ends with the last that it has started. */
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
