import { type CreateOptions, createOptionNames } from '../metainfo/create-options.ts'
import type { Storage } from '../storage/storage.ts'
import { checkTrackers } from '../swarm/tracker-set.ts'
import type { AddOptions } from '../torrent/torrent-options.ts'
import { readAddress } from '../util/address.ts'
import { checkNoMore, checkOptionNames, checkSignal, checkType } from '../util/options.ts'
import { show } from '../util/show.ts'
import { checkTrust } from '../util/trust.ts'
import { checkGoal, checkLimit, clientOptionNames, refusal } from './options.ts'

/** Options of `client.seed`: the options of `createTorrent`, and the options of `client.add` that apply to existing data. */
export interface SeedOptions
  extends CreateOptions,
    Omit<
      AddOptions,
      'trackers' | 'signal' | 'storage' | 'select' | 'path' | 'verify' | 'overwrite' | 'trust'
    > {
  /** Folder to which bytes and streams are written; refused for paths, whose files are seeded in place. */
  readonly path?: string
}

const sharedNames = {
  peers: true,
  paused: true,
  seedRatio: true,
  seedTime: true,
  downloadLimit: true,
  uploadLimit: true,
  superSeeding: true
} as const
// Records, so that a missing option is a compile error.
const addNames: Record<keyof AddOptions, true> = {
  path: true,
  select: true,
  trackers: true,
  trust: true,
  storage: true,
  signal: true,
  verify: true,
  overwrite: true,
  ...sharedNames
}
const seedNames: Record<keyof SeedOptions, true> = { path: true, ...createOptionNames, ...sharedNames }
const storageMethods: readonly (keyof Storage)[] = ['open', 'read', 'write', 'sync', 'close', 'delete']

/**
 * Throws for an invalid option of `add`, or for further arguments.
 * @throws TorrentError ERR_CLIENT_OPTION; ERR_UTIL_ADDRESS for an invalid peer address.
 */
export function checkAddOptions(options: AddOptions, more: readonly unknown[] = []): void {
  checkOptionNames(options, Object.keys(addNames), refusal, {
    'the options of the client': clientOptionNames,
    'the options of createTorrent and seed': Object.keys(seedNames)
  })
  checkNoMore(more, refusal)
  checkCommon(options)
  const { path, select, trackers, storage, trust, verify, overwrite } = options
  checkPath(path)
  checkSelect(select)
  if (trackers !== undefined) checkTrackers(trackers)
  checkTrust(trust, refusal)
  checkType('verify', verify, 'boolean', refusal)
  checkType('overwrite', overwrite, 'boolean', refusal)
  if (storage === undefined) return
  if (typeof storage !== 'object' || storage === null)
    throw refusal('storage', `${show(storage)} must be a Storage`)
  const lacking = storageMethods.filter((name) => typeof storage[name] !== 'function')
  if (lacking.length > 0) throw refusal('storage', `a Storage needs the methods ${lacking.join(', ')}`)
}

/**
 * Throws for an invalid option of `seed`, or for further arguments. The options of `createTorrent` are checked when the torrent is made.
 * @throws TorrentError ERR_CLIENT_OPTION; ERR_UTIL_ADDRESS for an invalid peer address.
 */
export function checkSeedOptions(source: unknown, options: SeedOptions, more: readonly unknown[] = []): void {
  const isPaths = typeof source === 'string' || Array.isArray(source)
  if (isPaths && typeof options === 'object' && options !== null && 'path' in options)
    throw refusal('path', 'files are seeded from where they are')
  checkOptionNames(options, Object.keys(seedNames), refusal, {
    'the options of add': Object.keys(addNames),
    'the options of the client': clientOptionNames
  })
  checkNoMore(more, refusal)
  checkPath(options.path)
  checkCommon(options)
}

function checkPath(path: unknown): void {
  if (path !== undefined && (typeof path !== 'string' || path === ''))
    throw refusal('path', `${show(path)} must be the path of a folder`)
}

function checkCommon(options: Pick<AddOptions, keyof AddOptions & keyof SeedOptions>): void {
  const { peers, paused, superSeeding, seedRatio, seedTime, signal } = options
  checkSignal(signal, refusal)
  checkType('paused', paused, 'boolean', refusal)
  checkType('superSeeding', superSeeding, 'boolean', refusal)
  checkLimit('downloadLimit', options.downloadLimit)
  checkLimit('uploadLimit', options.uploadLimit)
  checkGoal('seedRatio', seedRatio)
  checkGoal('seedTime', seedTime)
  if (peers === undefined) return
  if (!Array.isArray(peers)) throw refusal('peers', `${show(peers)} must be a list of host:port`)
  for (const peer of peers) readAddress(peer)
}

function checkSelect(select: AddOptions['select']): void {
  if (select === undefined || select === 'all' || select === 'none') return
  if (Array.isArray(select) && select.every((index) => Number.isInteger(index) && index >= 0)) return
  throw refusal('select', `${show(select)} must be 'all', 'none', or a list of indices of files`)
}
