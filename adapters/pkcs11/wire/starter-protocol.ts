/** What the gateway and the starter say to each other, over Node.js's own channel. */

/** Sent to the starter. */
export type StarterOrder =
  | { readonly start: number; readonly program: string; readonly environment: NodeJS.ProcessEnv }
  /** The gateway has received its end of the host's channel. */
  | { readonly taken: number }
  /** End the host by SIGKILL. */
  | { readonly kill: number }
  | { readonly end: true }

/** Sent by the starter. Each concerns the host that was started under that number. */
export type StarterNews =
  /** Carries the gateway's end of the host's channel. The starter also has it open until it sends `free`. */
  | { readonly started: number; readonly pid: number }
  | { readonly free: number }
  /** `why` is for people. */
  | { readonly ended: number; readonly why: string }
