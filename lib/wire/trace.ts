import { debug, type Log } from '../util/debug.ts'

/** The log of all wires. */
export const log: Log = debug('wire')
