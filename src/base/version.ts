/** The version of this release; a test holds it equal to package.json's. */
export const version = '0.1.0'

/** The EKM Proxy API version that this release serves, and the only one. */
export const apiVersion = '0.1-preview'
