/** Lets the event loop do other work when it is time. */
export type GiveWay = () => Promise<void>
