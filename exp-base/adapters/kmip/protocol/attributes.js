import { child, enumeration, integer, structure, textString, dateTime } from "../../ttlv-codec/src/index.js";
import { LINK_PUBLIC_KEY, NAME_UNINTERPRETED_TEXT, tag } from "./numbers.js";
import { ReplyMismatch } from "./operation.js";
import { isVersion2 } from "./version.js";
/** The attributes that are read or set here, with the names that 1.x gives them (KMIP 1.4 §3). */
const attributeNames = {
    ActivationDate: 'Activation Date',
    CryptographicAlgorithm: 'Cryptographic Algorithm',
    CryptographicLength: 'Cryptographic Length',
    CryptographicUsageMask: 'Cryptographic Usage Mask',
    DeactivationDate: 'Deactivation Date',
    InitialDate: 'Initial Date',
    Link: 'Link',
    Name: 'Name',
    ObjectType: 'Object Type',
    ProcessStartDate: 'Process Start Date',
    ProtectStopDate: 'Protect Stop Date',
    State: 'State',
};
/** An attribute's value, under the attribute's own tag as 2.x has it. */
export const attribute = {
    activationDate: (date) => dateTime(tag.ActivationDate, seconds(date)),
    algorithm: (value) => enumeration(tag.CryptographicAlgorithm, value),
    deactivationDate: (date) => dateTime(tag.DeactivationDate, seconds(date)),
    length: (bits) => integer(tag.CryptographicLength, bits),
    name: (value) => structure(tag.Name, [textString(tag.NameValue, value), enumeration(tag.NameType, NAME_UNINTERPRETED_TEXT)]),
    objectType: (value) => enumeration(tag.ObjectType, value),
    usageMask: (value) => integer(tag.CryptographicUsageMask, value),
};
const seconds = (date) => BigInt(Math.floor(date.getTime() / 1000));
const nameOfTag = new Map(Object.entries(attributeNames).map(([name, text]) => [tag[name], text]));
const tagOfName = new Map([...nameOfTag].map(([number, text]) => [text, number]));
/** The values as 1.x carries them: an Attribute with a name in text around each (KMIP 1.4 §2.1.1). */
export const versionOneAttributes = (values) => values.map((value) => structure(tag.Attribute, [
    textString(tag.AttributeName, nameOfTag.get(value.tag) ?? ''),
    { ...value, tag: tag.AttributeValue },
]));
/** The names for GetAttributes. 1.x: text; 2.x: the tag as an enumeration (KMIP 2.1 §6.1.18). */
export const attributeReferences = (names, version) => names.map((name) => isVersion2(version)
    ? enumeration(tag.AttributeReference, tag[name])
    : textString(tag.AttributeName, attributeNames[name]));
/** Reads the reply to GetAttributes in either model. */
export function readAttributes(payload, version) {
    const values = isVersion2(version)
        ? (child(payload, tag.Attributes, 'Structure')?.value ?? [])
        : attributeValues(payload);
    const read = {
        names: [],
    };
    for (const value of values) {
        switch (value.tag) {
            case tag.ObjectType:
                read.objectType = numberOf(value);
                break;
            case tag.CryptographicAlgorithm:
                read.algorithm = numberOf(value);
                break;
            case tag.CryptographicLength:
                read.bits = numberOf(value);
                break;
            case tag.CryptographicUsageMask:
                read.usageMask = numberOf(value);
                break;
            case tag.State:
                read.state = numberOf(value);
                break;
            case tag.InitialDate:
                read.initialDate = dateOf(value);
                break;
            case tag.ActivationDate:
                read.activationDate = dateOf(value);
                break;
            case tag.DeactivationDate:
                read.deactivationDate = dateOf(value);
                break;
            case tag.ProcessStartDate:
                read.processStartDate = dateOf(value);
                break;
            case tag.ProtectStopDate:
                read.protectStopDate = dateOf(value);
                break;
            case tag.Name:
                read.names.push(textOf(value, tag.NameValue));
                break;
            case tag.Link:
                if (linkType(value) === LINK_PUBLIC_KEY)
                    read.publicKeyId = textOf(value, tag.LinkedObjectIdentifier);
                break;
            default:
            // Servers answer with more than they were asked for.
        }
    }
    return read;
}
/** The reverse of {@link versionOneAttributes}; attributes that are not known here are left out. */
export function attributeValues(holder) {
    return holder.value.flatMap((item) => {
        if (item.tag !== tag.Attribute || item.type !== 'Structure')
            return [];
        const number = tagOfName.get(child(item, tag.AttributeName, 'TextString')?.value ?? '');
        const value = item.value.find((member) => member.tag === tag.AttributeValue);
        return number === undefined || value === undefined ? [] : [{ ...value, tag: number }];
    });
}
function numberOf(item) {
    if (item.type === 'Integer' || item.type === 'Enumeration')
        return item.value;
    throw new ReplyMismatch('an attribute of the wrong type');
}
function dateOf(item) {
    if (item.type === 'DateTime')
        return new Date(Number(item.value) * 1000);
    if (item.type === 'DateTimeExtended')
        return new Date(Number(item.value / 1000n));
    throw new ReplyMismatch('a date of the wrong type');
}
function textOf(item, member) {
    const text = item.type === 'Structure' ? child(item, member, 'TextString')?.value : undefined;
    if (text === undefined)
        throw new ReplyMismatch('an attribute without its text');
    return text;
}
const linkType = (item) => item.type === 'Structure' ? child(item, tag.LinkType, 'Enumeration')?.value : undefined;
