/** In a process that loads this file, whoever would have Node.js load its fetch fails. */
const http = process.getBuiltinModule('node:http')

for (const [owner, names] of [
  [globalThis, ['fetch', 'FormData', 'Headers', 'Request', 'Response', 'WebSocket']],
  [http, ['WebSocket']],
]) {
  for (const name of names.filter((each) => each in owner)) {
    Object.defineProperty(owner, name, {
      configurable: true,
      get: () => {
        throw new Error(`${name} is loaded`)
      },
    })
  }
}
