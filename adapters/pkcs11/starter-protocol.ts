/** What the gateway and the process that starts HSM hosts say to each other, over Node.js's own channel. */

/** To the starter. */
export type StarterOrder =
  | { readonly start: number; readonly program: string; readonly environment: NodeJS.ProcessEnv }
  /** The gateway has its end of the host's channel. */
  | { readonly taken: number }
  /** By SIGKILL. */
  | { readonly kill: number }
  | { readonly end: true }

/** From the starter, each of the host that was started by that number. */
export type StarterNews =
  /** With the gateway's end of the host's channel, which the starter has open too until it says `free`. */
  | { readonly started: number; readonly pid: number }
  | { readonly free: number }
  /** `why` is for people. */
  | { readonly ended: number; readonly why: string }
