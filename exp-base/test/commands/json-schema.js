const typeOf = (value) => {
    if (value === null)
        return 'null';
    if (Array.isArray(value))
        return 'array';
    return Number.isInteger(value) ? 'integer' : typeof value;
};
const known = [
    ...['$schema', 'description', 'default', 'type', 'const', 'enum', 'anyOf', 'oneOf'],
    ...['properties', 'required', 'additionalProperties', 'propertyNames', 'items', 'minItems'],
    ...['minimum', 'maximum', 'minLength', 'maxLength', 'pattern'],
];
const keywords = new Set(known);
/** The paths at which `value` breaks the schema. Throws at a keyword that it does not know, lest it passes it over. */
export function validate(schema, value, path = []) {
    const unknown = Object.keys(schema).find((keyword) => !keywords.has(keyword));
    if (unknown !== undefined)
        throw new Error(`${unknown} is no part of this validator`);
    const wrong = [path.join('.')];
    if (schema.type !== undefined && typeOf(value) !== schema.type)
        return wrong;
    if ('const' in schema && value !== schema.const)
        return wrong;
    if (schema.enum !== undefined && !schema.enum.includes(value))
        return wrong;
    const fits = (alternative) => validate(alternative, value, path).length === 0;
    if (schema.anyOf !== undefined && !schema.anyOf.some(fits))
        return wrong;
    if (schema.oneOf !== undefined && schema.oneOf.filter(fits).length !== 1)
        return wrong;
    if (typeof value === 'number' && !within(value, schema.minimum, schema.maximum))
        return wrong;
    if (typeof value === 'string') {
        if (!within(value.length, schema.minLength, schema.maxLength))
            return wrong;
        if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value))
            return wrong;
    }
    if (Array.isArray(value)) {
        if (!within(value.length, schema.minItems))
            return wrong;
        return value.flatMap((item, index) => validate(schema.items ?? {}, item, [...path, String(index)]));
    }
    return typeOf(value) === 'object' ? validateMembers(schema, value, path) : [];
}
const within = (size, least = -Infinity, most = Infinity) => least <= size && size <= most;
function validateMembers(schema, members, path) {
    const { properties = {}, required = [], additionalProperties: others = true, propertyNames = {} } = schema;
    const missing = required.filter((name) => !(name in members)).map((name) => [...path, name].join('.'));
    const wrong = Object.entries(members).flatMap(([name, member]) => {
        const at = [...path, name];
        const rule = properties[name] ?? (others === true ? {} : others);
        if (rule === false)
            return [at.join('.')];
        return [...validate(propertyNames, name, at), ...validate(rule, member, at)];
    });
    return [...missing, ...wrong];
}
