import { withoutInspector } from './no-inspector.ts'

/**
 * How much of V8 a program gets. The release and the image start the gateway so, too.
 *
 * V8 compiles hot functions in threads of its own, by default four. Where each program has one core, they leave it a
 * fifth of that core while it is new: at 1,800 requests a second, the slowest requests then took 70 to 260 ms. Beside
 * one thread the program keeps half of its core, and they took 8 to 40 ms.
 *
 * V8's young generation grows over hours, by default to three semi-spaces of 16 or 32 MiB, and keeps what it has.
 */
export const v8Arguments: readonly string[] = ['--v8-pool-size=1', '--max-semi-space-size=16']

/** Arguments for the command line of each Node.js program that the gateway starts. */
export const nodeArguments: readonly string[] = [...withoutInspector, ...v8Arguments]
