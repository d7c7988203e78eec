/** What products need that their own error codes do not name, by the file name of their module. */
const remedies: readonly { readonly module: RegExp; readonly remedy: string }[] = [
  {
    module: /softhsm/,
    remedy: "see that SOFTHSM2_CONF is set in the gateway's environment, and that its user may read that file and use the directory of tokens",
  },
  {
    module: /softokn|nss/,
    remedy: "NSS needs libraryParameters: \"configdir='sql:/path/of/the/database'\", a directory that the gateway's user may use",
  },
  {
    module: /opencryptoki|PKCS11_API/,
    remedy: "see that pkcsslotd runs, and that the gateway's user is in the group pkcs11 (it counts from its next start)",
  },
  {
    module: /p11-kit/,
    remedy: "see that the p11-kit server runs, and that P11_KIT_SERVER_ADDRESS in the gateway's environment names its socket",
  },
  {
    module: /tpm2/,
    remedy: "see that TPM2_PKCS11_STORE and TPM2_PKCS11_TCTI are set in the gateway's environment, and that its user may use the TPM (group tss)",
  },
] // prettier-ignore

const GENERAL =
  "see that the service behind the vendor's library runs, that the variables and files it needs are there, and that the " +
  "gateway's user may use them"

/** What to look at where the library cannot be used, or shows no token at all. */
export function remedyFor(modulePath: string): string {
  const file = modulePath.split('/').at(-1) ?? ''
  return remedies.find(({ module }) => module.test(file))?.remedy ?? GENERAL
}
