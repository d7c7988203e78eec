import type { Duplex } from 'node:stream'
import { wipeableCopy } from '../../contract/index.ts'
import { FrameReader, FrameWriter } from '../wire/frames.ts'
import type { StartsHosts } from './starters.ts'

/** Milliseconds in which the starter reports how a host ended, after the host's channel has closed. */
const REASON_MS = 50
/** Milliseconds in which a host that was told to end has ended, unless it hangs. */
const END_MS = 2000

export interface HostListener {
  /** `payload` is the listener's own copy. */
  replied(id: number, answer: number, payload: Uint8Array): void
  /** Called once, when the process has ended or its channel broke. `why` is for people. */
  ended(why: string): void
}

/** Starts a host, and is the gateway's end of the socket pair to it. */
export class HostChannel {
  readonly #stop: () => void
  readonly #frames = new FrameWriter()
  #listener: HostListener | undefined
  #running: { readonly pid: number; readonly channel: Duplex } | undefined
  #nextId = 0

  /**
   * @param environment all that the process sees of the gateway's environment; the vendor's library may need any of it
   */
  constructor(starters: StartsHosts, environment: NodeJS.ProcessEnv, listener: HostListener) {
    this.#listener = listener
    this.#stop = starters.start(environment, {
      started: (pid, channel) => this.#started(pid, channel),
      ended: (why) => this.#end(why),
    })
  }

  /** The process id; 0 before the start. */
  get pid(): number {
    return this.#running?.pid ?? 0
  }

  /**
   * Sends a copy of `payload`.
   * @returns the id of the answer
   */
  send(kind: number, payload: Uint8Array): number {
    this.#nextId = (this.#nextId + 1) >>> 0
    // Calls of the same moment are sent in one write.
    if (this.#frames.isEmpty) process.nextTick(() => this.#write())
    this.#frames.add({ id: this.#nextId, kind, payload })
    return this.#nextId
  }

  /** Ends the process at once, whatever it is doing. The listener is not called any more. */
  async kill(): Promise<void> {
    this.#listener = undefined
    const channel = this.#running?.channel
    const closed = channel && !channel.closed && new Promise((resolve) => channel.once('close', resolve))
    this.#kill()
    await closed
  }

  /** Lets the process finish its current call, unless it hangs. The listener is not called any more. */
  async end(): Promise<void> {
    this.#listener = undefined
    const channel = this.#running?.channel
    if (channel === undefined || channel.closed) return this.kill()
    if (!this.#frames.isEmpty) this.#frames.take().fill(0)
    const timer = setTimeout(() => this.#kill(), END_MS)
    const closed = new Promise((resolve) => channel.once('close', resolve))
    channel.end()
    await closed
    clearTimeout(timer)
  }

  #started(pid: number, channel: Duplex): void {
    // The host is not wanted any more. Closing its channel ends it.
    if (this.#listener === undefined) return void channel.destroy()
    this.#running = { pid, channel }
    const reader = new FrameReader()
    channel.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk, ({ id, kind, payload }) => this.#listener?.replied(id, kind, wipeableCopy(payload)))
      } catch {
        this.#kill()
      }
      chunk.fill(0)
    })
    // Whatever is wrong with the channel, the way in which the process ended says more.
    channel.on('error', () => this.#kill())
    channel.on('end', () => this.#kill())
    channel.on('close', () => setTimeout(() => this.#end('its channel closed'), REASON_MS).unref())
    this.#write()
  }

  #write(): void {
    if (this.#running === undefined || this.#frames.isEmpty) return
    const bytes = this.#frames.take()
    this.#running.channel.write(bytes, () => bytes.fill(0))
  }

  #kill(): void {
    this.#stop()
    if (this.#running === undefined) return
    const { pid, channel } = this.#running
    // The starter may hang. While the channel is open, no other process can have this id.
    if (channel.destroyed || channel.readableEnded) return
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // The process has ended.
    }
  }

  #end(why: string): void {
    const listener = this.#listener
    this.#listener = undefined
    this.#running?.channel.destroy()
    listener?.ended(why)
  }
}

/**
 * The process's environment. Other code removes the secrets from it. No variable contains the PIN, whatever its name.
 */
export function hostEnvironment(pin: Uint8Array | undefined): NodeJS.ProcessEnv {
  const text = pin && Buffer.from(pin).toString('utf8')
  return Object.fromEntries(Object.entries(process.env).filter(([, value]) => text === undefined || value !== text))
}
