/**
 * A request that no backend needs to see to be refused. `message` goes to the caller: it says what was wrong and what is
 * allowed, and never quotes a value.
 */
export class RequestInvalid extends Error {
    name = 'RequestInvalid';
}
