import { afterAll } from 'vitest'

interface Removable {
  remove(): Promise<void>
}

/** For a test file: the returned function has a resource removed after the file's last test, and returns it. */
export function leftovers(): <T extends Removable>(resource: T) => T {
  const resources: Removable[] = []
  afterAll(async () => {
    for (const resource of resources) await resource.remove()
  })
  return (resource) => {
    resources.push(resource)
    return resource
  }
}
