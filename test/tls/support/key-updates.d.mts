import type { Socket, TcpNetConnectOpts } from 'node:net'

export function floodWithKeyUpdates(target: TcpNetConnectOpts, count: number, onSent?: () => void): Socket
