/** What a product needs besides its module, by the module's file name. The products' own error codes do not say it. */
const remedies: readonly { readonly module: RegExp; readonly remedy: string }[] = [
  {
    module: /softhsm/,
    remedy:
      "make sure that SOFTHSM2_CONF in the gateway's environment names the file whose directories.tokendir has the token (without it, " +
      "SoftHSM uses its own directory), and that the gateway's user may read that file and use that directory",
  },
  {
    module: /softokn|nss/,
    remedy:
      "NSS needs libraryParameters: \"configdir='sql:/path/of/the/database'\", a directory that the gateway's user may use",
  },
  {
    module: /opencryptoki|PKCS11_API/,
    remedy:
      "make sure that pkcsslotd runs, and that the gateway's user is in the group pkcs11 (then restart the gateway)",
  },
  {
    module: /p11-kit/,
    remedy:
      "make sure that the p11-kit server runs, and that P11_KIT_SERVER_ADDRESS in the gateway's environment names its socket",
  },
  {
    module: /tpm2/,
    remedy:
      "make sure that TPM2_PKCS11_STORE and TPM2_PKCS11_TCTI are set in the gateway's environment, and that the gateway's user may use the TPM (group tss)",
  },
]

const GENERAL =
  "make sure that the service behind the vendor's library runs, that the variables and files it needs are there, and that the " +
  "gateway's user may use them"

/** What to check if the library cannot be used, or shows no token at all. */
export function remedyFor(modulePath: string): string {
  const file = modulePath.split('/').at(-1) ?? ''
  return remedies.find(({ module }) => module.test(file))?.remedy ?? GENERAL
}
