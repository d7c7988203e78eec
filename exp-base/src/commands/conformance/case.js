/** What a case cannot be run without, and the option that gives it. */
export const needs = {
    prefix: '--url with a path prefix',
    aes: '--aes-key NAME',
    'second aes': '--aes-key NAME, twice',
    rsa: '--rsa-key NAME',
    refused: '--refused NAME=CERT.PEM,KEY.PEM',
    disabled: '--disabled-key NAME',
    load: '--load RPS --duration SECONDS',
};
/** The proxy did not do what the rule expects. */
export class Unmet extends Error {
    name = 'Unmet';
    step;
    constructor(step) {
        super(`${step.sent}: expected ${step.expected}, came ${step.came}`);
        this.step = step;
    }
}
/** The case could not be decided here; `message` says why. */
export class NotApplicable extends Error {
    name = 'NotApplicable';
}
/** The suite cannot run at all: unreachable, a file that cannot be read, a client that is not let in. */
export class CouldNotRun extends Error {
    name = 'CouldNotRun';
}
