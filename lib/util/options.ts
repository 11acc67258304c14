import { types } from 'node:util'
import { TorrentError } from './errors.ts'
import { nearest } from './nearest.ts'
import { show } from './show.ts'

/** Creates the error for an invalid option, with the code of the caller's folder. */
export type Refuse = (option: string, reason: string) => Error

/** Returns the error for an invalid argument of a torrent's method. */
export function argumentError(option: string, reason: string): TorrentError {
  return new TorrentError('ERR_CLIENT_OPTION', `${option}: ${reason}`, { details: { option } })
}

/** Option names of other libraries (webtorrent, create-torrent, torrent-stream, node:fs), and our equivalents. */
const elsewhere: Readonly<Record<string, string>> = {
  addUID: 'path, a folder of its own for the torrent',
  alwaysChokeSeeders: 'none: seeds are always choked',
  announce: 'trackers',
  announceList: 'trackers',
  bitfield: 'none: the resume record has it',
  blocklist: 'none: not implemented yet',
  connections: 'maxConnections, an option of the client',
  deselect: "select: 'none'",
  destroyStoreOnDestroy: 'deleteFiles, an option of remove()',
  dhtPort: 'port, an option of the client, which the DHT uses too',
  downloadDir: 'path',
  info: 'source, which goes into the info',
  maxConns: 'maxConnections, an option of the client',
  maxWebConns: 'none: web seeds are not used yet',
  natPmp: 'natTraversal',
  natUpnp: 'natTraversal',
  nodeId: 'none: the DHT keeps its id in the state folder',
  peerId: 'none: it is random',
  rootDir: 'path',
  savePath: 'path',
  secure: 'encryption',
  skipVerify: 'none: resume records are trusted; verify: true hashes everything',
  so: 'select',
  store: 'storage',
  storeCacheSlots: 'memoryLimit, an option of the client',
  strategy: 'none: streams come in order, everything else rarest first',
  tmp: 'path',
  torrentPort: 'port',
  tracker: 'trackers, an option of add and seed',
  uploads: 'uploadLimit',
  urlList: 'webSeeds, an option of createTorrent and seed',
  utPex: 'pex'
}

/** Names of options that belong to other calls, by a phrase for the call. */
export type OtherOwners = Readonly<Record<string, readonly string[]>>

/**
 * Rejects options that are not an object, and unknown names, with a hint at the intended one.
 * @throws the error from `refuse`.
 */
export function checkOptionNames(
  options: unknown,
  known: readonly string[],
  refuse: Refuse,
  others: OtherOwners = {}
): void {
  if (typeof options === 'function') throw refuseCallback(refuse)
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw refuse('options', `${show(options)} must be an object`)
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw refuse(name, `there is no such option${hintAt(name, known, others)}`)
  }
}

/** Rejects extra arguments, such as the callbacks that other libraries accept. @throws the error from `refuse`. */
export function checkNoMore(more: readonly unknown[], refuse: Refuse): void {
  const [first] = more.filter((argument) => argument !== undefined)
  if (typeof first === 'function') throw refuseCallback(refuse)
  if (first !== undefined) throw refuse('arguments', `${show(first)} is one argument too many`)
}

/** Rejects values that are not an AbortSignal. @throws the error from `refuse`. */
export function checkSignal(signal: unknown, refuse: Refuse): void {
  if (signal === undefined) return
  const isSignal =
    typeof signal === 'object' &&
    signal !== null &&
    'aborted' in signal &&
    'addEventListener' in signal &&
    typeof signal.addEventListener === 'function'
  if (!isSignal) throw refuse('signal', `${show(signal)} must be an AbortSignal`)
}

/** Rejects values that are neither undefined nor of the type. @throws the error from `refuse`. */
export function checkType(
  option: string,
  value: unknown,
  type: 'string' | 'boolean' | 'function',
  refuse: Refuse
): void {
  if (value === undefined || typeof value === type) return
  const expected = { string: 'a string', boolean: 'true or false', function: 'a function' }[type]
  throw refuse(option, `${show(value)} must be ${expected}`)
}

function refuseCallback(refuse: Refuse): Error {
  return refuse('callback', 'callbacks are not supported: await the result, or listen for events')
}

function hintAt(name: string, known: readonly string[], others: OtherOwners): string {
  const other = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined
  if (other?.startsWith('none: ') === true) return ` (${other.slice('none: '.length)})`
  if (other !== undefined && other !== 'none') return `: use ${other}`
  for (const [owner, names] of Object.entries(others)) {
    if (names.includes(name)) return `: it is one of ${owner}`
  }
  const sameLetters = known.find((one) => one.toLowerCase() === name.toLowerCase())
  const near = sameLetters ?? nearest(name, known)
  return near === undefined ? '' : `: did you mean ${near}?`
}

/** Returns whether a value is a number of at least 0, or Infinity. */
export function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}

/** Returns whether a value is a promise, also one of another realm, or a thenable. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    types.isPromise(value) ||
    (typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function')
  )
}
