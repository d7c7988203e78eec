import { fork, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { constants, setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { nodeArguments } from '../../contract/node-arguments.ts'
import type { StarterNews, StarterOrder } from '../wire/starter-protocol.ts'

// No tool rewrites a program's name inside a string, so the extension follows that of this file.
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const programOf = (folder: string) => fileURLToPath(new URL(`../${folder}/main.${extension}`, import.meta.url))

/** Milliseconds. A starter that has not reported the end of a host by then hangs. */
const END_TIMEOUT_MS = 2000

export interface StartListener {
  /** The host runs. `channel` is the socket pair to it. */
  started(pid: number, channel: Duplex): void
  /** The host could not be started, or has ended. `why` is for people. */
  ended(why: string): void
}

interface Ordered {
  readonly listener: StartListener
  /** Set as soon as the host runs. */
  running?: { readonly pid: number; readonly channel: Socket }
}

/** A process that starts hosts and waits for their end (docs/adr/0006). */
export class Starter {
  readonly #process: ChildProcess
  /** Hosts that were ordered and have not been handed over yet. */
  readonly #ordered = new Map<number, Ordered>()
  readonly #started = new Map<number, Ordered>()
  readonly #gone: () => void
  #nextId = 0
  #retired = false
  #hasBegun = false

  /** @param gone called when it can start no more hosts, perhaps several times */
  constructor(environment: NodeJS.ProcessEnv, gone: () => void) {
    this.#gone = gone
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as const
    this.#process = fork(programOf('starter'), { stdio: [...stdio], env: environment, execArgv: [...nodeArguments] })
    this.#process.on('message', (news: StarterNews, channel) => this.#hear(news, channel as Socket | undefined))
    const lost = (why: string) => {
      this.#gone()
      // A host that runs keeps serving. Its channel reports its end.
      for (const [id, { listener }] of this.#ordered) {
        this.#takeBack(id)
        listener.ended(`the starter of the HSM hosts: ${why}`)
      }
    }
    this.#process.on('error', ({ message }) => lost(`failed: ${message}`))
    this.#process.on('exit', () => lost('has ended'))
  }

  /** Whether it has sent anything. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /**
   * @param environment all that the host sees of the gateway's environment
   * @returns a function that cancels the order, or ends the host
   */
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
   * The starter hangs, so it gets no further orders. Its priority is lowered: if it loops in the kernel, it does so
   * only while nothing else needs the processor.
   */
  giveUp(): void {
    const { pid, exitCode, signalCode } = this.#process
    if (pid !== undefined && exitCode === null && signalCode === null) {
      try {
        setPriority(pid, constants.priority.PRIORITY_LOW)
      } catch {
        // The starter has just ended, or the system does not allow this.
      }
    }
    this.#gone()
    this.retire()
  }

  /** The starter exits after its last host. */
  retire(): void {
    this.#retired = true
    this.#process.unref()
    this.#process.channel?.unref()
    // Disconnecting while the other side may be sending a channel trips an assertion of Node.js.
    if (this.#ordered.size + this.#started.size === 0) this.#send({ end: true })
  }

  #hear(news: StarterNews, channel: Socket | undefined): void {
    this.#hasBegun = true
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

  /** A host whose channel closes before its first request ends by itself. */
  #takeBack(id: number): void {
    this.#ordered.get(id)?.running?.channel.destroy()
    this.#ordered.delete(id)
  }

  #send(order: StarterOrder): void {
    if (this.#process.connected) this.#process.send(order, undefined, undefined, () => undefined)
  }
}
