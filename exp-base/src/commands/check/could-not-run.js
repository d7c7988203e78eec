/** A run would tell of the options rather than of the gateway. `message` is one sentence for a person. */
export class CouldNotRun extends Error {
    name = 'CouldNotRun';
}
