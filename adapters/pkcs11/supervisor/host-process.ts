import type { Socket } from 'node:net'
import { wipeableCopy } from '../../contract/index.ts'
import { FrameReader, FrameWriter } from '../frames.ts'
import type { HostStarter } from './host-starter.ts'

/** How long after its channel has closed the starter may take to say how a host ended. */
const REASON_MS = 50
/** A host that is told to end has by then, unless it hangs. */
const END_MS = 2000

export interface HostListener {
  /** `payload` is the listener's own copy. */
  replied(id: number, answer: number, payload: Uint8Array): void
  /** Once, when the process has ended or its channel broke; `why` is for people. */
  ended(why: string): void
}

/** A process that runs `host/main.ts`, and the socket pair to it. */
export class HostProcess {
  readonly #stop: () => void
  readonly #frames = new FrameWriter()
  #listener: HostListener | undefined
  #running: { readonly pid: number; readonly channel: Socket } | undefined
  #nextId = 0

  /** `environment` is all that the process sees of the gateway's; the vendor's library may need any of it. */
  constructor(starter: HostStarter, environment: NodeJS.ProcessEnv, listener: HostListener) {
    this.#listener = listener
    this.#stop = starter.start(environment, {
      started: (pid, channel) => this.#started(pid, channel),
      ended: (why) => this.#end(why),
    })
  }

  /** 0 until it has been started. */
  get pid(): number {
    return this.#running?.pid ?? 0
  }

  /** Sends a copy of `payload` and gives the id that the answer will bear. */
  send(kind: number, payload: Uint8Array): number {
    this.#nextId = (this.#nextId + 1) >>> 0
    // Calls of the same moment go in one write.
    if (this.#frames.isEmpty) process.nextTick(() => this.#write())
    this.#frames.add({ id: this.#nextId, kind, payload })
    return this.#nextId
  }

  /** Ends the process at once, whatever it is doing; the listener hears no more of it. */
  async kill(): Promise<void> {
    this.#listener = undefined
    const channel = this.#running?.channel
    const closed = channel && !channel.closed && new Promise((resolve) => channel.once('close', resolve))
    this.#kill()
    await closed
  }

  /** Lets the process finish the call in hand, unless it hangs; the listener hears no more of it. */
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

  #started(pid: number, channel: Socket): void {
    // Nobody wants it any more; a host whose channel closes ends.
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
    // Whatever is wrong with the channel, how the process ended says more.
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
    // The starter may hang. As long as the channel is open, no other process has the same id.
    if (channel.destroyed || channel.readableEnded) return
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }

  #end(why: string): void {
    const listener = this.#listener
    this.#listener = undefined
    this.#running?.channel.destroy()
    listener?.ended(why)
  }
}

/** The process's environment, which secrets are taken out of elsewhere. The PIN is in none, whatever its variable is called. */
export function hostEnvironment(pin: Uint8Array | undefined): NodeJS.ProcessEnv {
  const text = pin && Buffer.from(pin).toString('utf8')
  return Object.fromEntries(Object.entries(process.env).filter(([, value]) => text === undefined || value !== text))
}
