import { closedLoop, openConnections } from "./load.js";
/** As many keep-alive connections as the published figures of peers were measured with. */
export const CONNECTIONS = 32;
/** Lets each have its turn, again and again, so that whatever else the machine does meets all of them alike. */
export async function inTurns({ plan, progress }, contestants) {
    const results = new Map(contestants.map(({ name }) => [name, []]));
    for (let repetition = 1; repetition <= plan.repetitions; repetition += 1) {
        for (const { name, turn } of contestants) {
            progress(`${name}, ${repetition} of ${plan.repetitions}`);
            results.get(name)?.push(await turn());
        }
    }
    return results;
}
/** Throughput of each on {@link CONNECTIONS} connections, after a warm-up. */
export async function throughputs(bench, contestants) {
    const { plan, progress } = bench;
    const connections = new Map();
    for (const { name, server, calls } of contestants) {
        progress(`${name}, warming up`);
        const opened = await openConnections(server.target, CONNECTIONS);
        connections.set(name, opened);
        await closedLoop(opened, calls, plan.warmUpSeconds, server.pid);
    }
    try {
        return await inTurns(bench, contestants.map(({ name, server, calls }) => ({
            name,
            turn: () => closedLoop(connections.get(name) ?? [], calls, plan.seconds, server.pid),
        })));
    }
    finally {
        for (const connection of [...connections.values()].flat())
            connection.close();
    }
}
/** What was measured of `name`, one member of each repetition. */
export function column(results, name, member) {
    return (results.get(name) ?? []).map((row) => Number(row[member]));
}
