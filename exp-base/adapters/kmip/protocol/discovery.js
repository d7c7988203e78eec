import { child, enumeration } from "../../ttlv-codec/src/index.js";
import { versionItem } from "./message.js";
import { operation, queryFunction, tag } from "./numbers.js";
import { kmipVersions } from "./version.js";
/** Which of `offered` the server speaks too (KMIP 1.4 §4.26). */
export const discoverVersions = (offered) => ({
    code: operation.DiscoverVersions,
    repeatable: true,
    payload: () => offered.map(versionItem),
    read: (payload) => {
        const said = payload.value.map((item) => {
            if (item.tag !== tag.ProtocolVersion || item.type !== 'Structure')
                return '';
            const major = child(item, tag.ProtocolVersionMajor, 'Integer')?.value;
            const minor = child(item, tag.ProtocolVersionMinor, 'Integer')?.value;
            return `${major}.${minor}`;
        });
        return kmipVersions.filter((version) => offered.includes(version) && said.includes(version));
    },
});
/** What the server can do, and who it is (KMIP 1.4 §4.25). */
export const query = {
    code: operation.Query,
    repeatable: true,
    payload: () => [
        enumeration(tag.QueryFunction, queryFunction.Operations),
        enumeration(tag.QueryFunction, queryFunction.ServerInformation),
    ],
    read: (payload) => {
        const vendor = child(payload, tag.VendorIdentification, 'TextString')?.value;
        const operations = payload.value.flatMap((item) => item.tag === tag.Operation && item.type === 'Enumeration' ? [item.value] : []);
        return { operations: new Set(operations), ...(vendor !== undefined && { vendor }) };
    },
};
