/** Something that one process learned and other processes of the same gateway can use. */
export type Lesson =
  /** An issuing CA that a client taught, as DER in base64, and the fingerprint of the root that it leads to. */
  | { readonly issuer: string; readonly root: string }
  /** A network whose clients must do full handshakes because one was refused: see {@link FullHandshakes.ask}. */
  | { readonly fullHandshakes: string; readonly fingerprint: string }
