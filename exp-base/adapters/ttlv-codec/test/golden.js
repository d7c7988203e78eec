import { readFileSync } from 'node:fs';
import { hex } from "./hex.js";
const blocks = readFileSync(new URL('golden.txt', import.meta.url), 'utf8')
    .split('## ')
    .slice(1);
export const goldenExchanges = blocks.map((block) => {
    const [label = '', request = '', response = ''] = block.trim().split('\n');
    return { label, request: hex(request), response: hex(response) };
});
export const golden = (label) => {
    const found = goldenExchanges.find((exchange) => exchange.label === label);
    if (found === undefined)
        throw new Error(`golden.txt has no exchange ${label}`);
    return found;
};
