/*
 * What Hono gets in place of a `Request` and a `Response`. It hands both on, and the application reads neither (ADR 0010).
 * The first real one would make each process load all of Node.js's fetch.
 */

/** For every request. The one route takes it, whatever was sent. Hono asks for the method. */
export const unreadRequest = { method: 'POST' } as Request

/** For every request, after the application has answered it. */
export const unreadResponse = {} as Response
