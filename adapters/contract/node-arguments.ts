import { withoutInspector } from './no-inspector.ts'

/**
 * Arguments for the command line of each Node.js program that the gateway starts.
 *
 * V8 compiles hot functions in threads of its own, by default four. Where each program has one core, they leave it a
 * fifth of that core while it is new: at 1,800 requests a second, the slowest requests then took 70 to 260 ms. Beside
 * one thread the program keeps half of its core, and they took 8 to 40 ms.
 */
export const nodeArguments: readonly string[] = [...withoutInspector, '--v8-pool-size=1']
