import { fork, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { constants, setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { withoutInspector } from '../../contract/no-inspector.ts'
import type { StarterNews, StarterOrder } from '../starter-protocol.ts'

// A module's text cannot be rewritten by the compiler, so the names of the programs follow that of this file.
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const programOf = (folder: string) => fileURLToPath(new URL(`../${folder}/main.${extension}`, import.meta.url))

/** A starter that has not told by then that a host has ended, as it was to, hangs. */
const END_TIMEOUT_MS = 2000

export interface StartListener {
  /** The host runs, and `channel` is the socket pair to it. */
  started(pid: number, channel: Socket): void
  /** It could not be started, or has ended; `why` is for people. */
  ended(why: string): void
}

interface Ordered {
  readonly listener: StartListener
  /** From when the host runs. */
  running?: { readonly pid: number; readonly channel: Socket }
}

/** A process that starts hosts and waits for them; docs/adr/0006 says why. */
export class Starter {
  readonly #process: ChildProcess
  /** Not yet their listener's. */
  readonly #ordered = new Map<number, Ordered>()
  readonly #started = new Map<number, Ordered>()
  readonly #gone: () => void
  #nextId = 0
  #retired = false

  /** `gone` is called once it can start no more hosts, perhaps several times. */
  constructor(environment: NodeJS.ProcessEnv, gone: () => void) {
    this.#gone = gone
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as const
    this.#process = fork(programOf('starter'), { stdio: [...stdio], env: environment, execArgv: [...withoutInspector] })
    this.#process.on('message', (news: StarterNews, channel) => this.#hear(news, channel as Socket | undefined))
    const lost = (why: string) => {
      this.#gone()
      // A host that runs serves on; its channel tells when it has ended.
      for (const [id, { listener }] of this.#ordered) {
        this.#takeBack(id)
        listener.ended(`the process that starts HSM hosts ${why}`)
      }
    }
    this.#process.on('error', ({ message }) => lost(`failed: ${message}`))
    this.#process.on('exit', () => lost('has ended'))
  }

  /** `environment` is all that the host sees of the gateway's. Gives a function that takes the order back, or ends the host. */
  start(environment: NodeJS.ProcessEnv, listener: StartListener): () => void {
    const id = ++this.#nextId
    this.#ordered.set(id, { listener })
    this.#send({ start: id, program: programOf('host'), environment })
    return () => {
      this.#takeBack(id)
      if (!this.#started.has(id)) return
      this.#send({ kill: id })
      setTimeout(() => {
        if (this.#started.has(id)) this.giveUp()
      }, END_TIMEOUT_MS).unref()
    }
  }

  /**
   * It hangs: nothing more is asked of it, and what it does, if it goes round in circles in the kernel, it does while nobody
   * else wants the processor.
   */
  giveUp(): void {
    const { pid, exitCode, signalCode } = this.#process
    if (pid !== undefined && exitCode === null && signalCode === null) {
      try {
        setPriority(pid, constants.priority.PRIORITY_LOW)
      } catch {
        // It has just ended, or the system does not allow it.
      }
    }
    this.#gone()
    this.retire()
  }

  /** It ends when the hosts have that it has started. */
  retire(): void {
    this.#retired = true
    this.#process.unref()
    this.#process.channel?.unref()
    // To disconnect, while the other side may be sending a channel, trips an assertion of Node.js.
    if (this.#ordered.size + this.#started.size === 0) this.#send({ end: true })
  }

  #hear(news: StarterNews, channel: Socket | undefined): void {
    if ('started' in news) {
      channel?.on('error', () => undefined)
      const host = this.#ordered.get(news.started)
      if (host === undefined || channel === undefined) return void channel?.destroy()
      host.running = { pid: news.pid, channel }
      this.#send({ taken: news.started })
    } else if ('free' in news) {
      const host = this.#ordered.get(news.free)
      if (host?.running === undefined) return
      this.#ordered.delete(news.free)
      this.#started.set(news.free, host)
      host.listener.started(host.running.pid, host.running.channel)
    } else {
      const host = this.#ordered.get(news.ended) ?? this.#started.get(news.ended)
      this.#takeBack(news.ended)
      this.#started.delete(news.ended)
      host?.listener.ended(news.why)
      if (this.#retired) this.retire()
    }
  }

  /** A host ends whose channel closes before it was asked for anything. */
  #takeBack(id: number): void {
    this.#ordered.get(id)?.running?.channel.destroy()
    this.#ordered.delete(id)
  }

  #send(order: StarterOrder): void {
    if (this.#process.connected) this.#process.send(order, undefined, undefined, () => undefined)
  }
}
