/** An external key id: 1 to 64 characters of `A-Z a-z 0-9 -`, case-sensitive (EKM Proxy API, "URL"). */
export const isKeyName = (name) => /^[A-Za-z0-9-]{1,64}$/.test(name);
export const KEY_NAME_RULE = '1 to 64 characters of A-Z, a-z, 0-9 and "-"';
