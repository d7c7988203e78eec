/** One view of several processes: a backend is as good as the worst of them says, and what is counted adds up. */
export function combine(statuses, version) {
    const backends = new Map();
    for (const { name, up, ready, running, waiting, connections } of statuses.flatMap((status) => status.backends)) {
        const others = backends.get(name);
        backends.set(name, {
            name,
            up: up && others?.up !== false,
            ready: ready && others?.ready !== false,
            running: running + (others?.running ?? 0),
            waiting: waiting + (others?.waiting ?? 0),
            connections: connections + (others?.connections ?? 0),
        });
    }
    return {
        version,
        ready: statuses.length > 0 && statuses.every(({ ready }) => ready),
        draining: statuses.some(({ draining }) => draining),
        requests: sum(statuses.map(({ requests }) => requests)),
        connections: {
            verified: sum(statuses.map(({ connections }) => connections.verified)),
            unverified: sum(statuses.map(({ connections }) => connections.unverified)),
        },
        backends: [...backends.values()],
    };
}
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
