export const passes = ({ relation, target, measured }) => relation === 'at least' ? measured.median >= target : measured.median <= target;
/** This gateway, or this machine, cannot be asked that: neither a pass nor a failure. */
export class NotAvailable extends Error {
    name = 'NotAvailable';
}
