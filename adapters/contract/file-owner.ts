/**
 * Whether a file belongs to somebody who is neither root nor the user of this process: its owner can change it, whatever its
 * mode. OpenSSH and sudo ask the same. On Windows every file is root's.
 */
export const isForeign = (uid: number): boolean => uid !== 0 && uid !== process.geteuid?.()

/** The command by which a file becomes one that this process can trust, and still read. */
export const ownCommand = (path: string): string => `chown ${process.geteuid?.() || 'root'} ${path}`
