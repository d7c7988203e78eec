import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
export async function makeWorkspace() {
    const directory = await mkdtemp(join(tmpdir(), 'ekm-gateway-test-'));
    const path = (name) => join(directory, name);
    return {
        directory,
        path,
        write: async (name, content, mode = 0o600) => {
            await writeFile(path(name), content, { mode });
            return path(name);
        },
        remove: () => rm(directory, { recursive: true, force: true }),
    };
}
