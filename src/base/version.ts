/** The version of this release. A test holds it equal to package.json's. */
export const version = '0.1.0'

/** The only version of the EKM Proxy API that this release serves. */
export const apiVersion = '0.1-preview'
