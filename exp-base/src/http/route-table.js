import { info } from "./info.js";
import { metadata } from "./metadata.js";
import { unwrapkey } from "./unwrapkey.js";
import { wrapkey } from "./wrapkey.js";
const routes = new Map([info, metadata, wrapkey, unwrapkey].map((route) => [route.operation, route]));
/**
 * Finds pool and operation of a path, `/{prefix}/{operation}` or `/{prefix}/{key name}/{operation}`. A path is compared as
 * it was sent, without percent-decoding: each has one spelling.
 */
export class RouteTable {
    #pools;
    constructor(pools) {
        this.#pools = new Map(pools.map((pool) => [pool.pathPrefix === '' ? '' : `/${pool.pathPrefix}`, pool]));
    }
    find(path) {
        const end = path.lastIndexOf('/');
        const route = routes.get(path.slice(end + 1));
        if (route === undefined)
            return undefined;
        const prefixEnd = route.takesKey && end > 0 ? path.lastIndexOf('/', end - 1) : end;
        const keyName = path.slice(prefixEnd + 1, end);
        const pool = this.#pools.get(path.slice(0, prefixEnd));
        if (pool === undefined || route.takesKey !== (keyName !== ''))
            return undefined;
        return { pool, route, keyName };
    }
}
