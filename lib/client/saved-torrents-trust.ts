import { dirname } from 'node:path'
import { liesIn, realPathOf } from '../storage/real-path.ts'
import type { RecordKey } from '../storage/record-key.ts'
import { RecordSeal, type RecordTrust, type Signer } from '../storage/record-seal.ts'
import { nodeFs } from '../storage/storage-fs.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { SavedLine } from './saved-torrents.ts'

/** Options of {@link SavedTorrentsTrust}. */
export interface SavedTorrentsTrustOptions {
  /** The state folder. */
  readonly folder: string
  /** The client's folder for data. */
  readonly data: string | undefined
  readonly key: RecordKey
}

/** The trusted part of a list of torrents. */
export interface JudgedTorrents {
  readonly savedTorrents: readonly SavedTorrent[]
  /** Lines of torrents that are not to be brought back. */
  readonly refused: readonly SavedLine[]
  /** How many private torrents have lost their trackers. */
  readonly silenced: number
  /** Whether every line is trusted. */
  readonly trusted: boolean
}

/**
 * Decides what is believed of the list in a state folder. Where torrents write into a folder above it, lines count as they are only if
 * they are signed; others must not have data written outside of the client's own folder, or have a private torrent announced anywhere.
 */
export class SavedTorrentsTrust {
  readonly #options: SavedTorrentsTrustOptions

  constructor(options: SavedTorrentsTrustOptions) {
    this.#options = options
  }

  /** Decides about the lines of an earlier run. */
  async judge(lines: readonly SavedLine[]): Promise<JudgedTorrents> {
    const judge = await this.#seal(lines.map(({ saved }) => saved.path)).judge()
    const savedTorrents: SavedTorrent[] = []
    const refused: SavedLine[] = []
    let silenced = 0
    let trusted = true
    for (const line of lines) {
      const { saved, json, mac } = line
      const trust = judge(json, mac)
      if (trust !== 'trusted') trusted = false
      if (trust !== 'trusted' && !(await this.#isInside(saved))) refused.push(line)
      else if (isSilenced(saved, trust)) {
        silenced++
        savedTorrents.push({ ...saved, trackers: [], peers: [], overwrite: false })
      } else savedTorrents.push(trust === 'trusted' ? saved : { ...saved, overwrite: false })
    }
    return { savedTorrents, refused, silenced, trusted }
  }

  /** Returns what signs the lines of these torrents, if they have to be signed. */
  async signer(savedTorrents: readonly SavedTorrent[]): Promise<Signer> {
    const above = await this.#foldersAbove()
    return this.#seal(savedTorrents.map(({ path }) => path).filter((path) => above.has(path))).signer()
  }

  #seal(paths: readonly string[]): RecordSeal {
    const { folder, data, key } = this.#options
    const all = new Set(data === undefined ? paths : [data, ...paths])
    return new RecordSeal(key, { folder, about: folder, data: [...all], kind: 'session' })
  }

  /** Whether all that a torrent writes lies in the client's folder for data, or else in that of the state folder. */
  async #isInside({ path, filePaths = [] }: SavedTorrent): Promise<boolean> {
    const { folder, data = dirname(folder) } = this.#options
    for (const one of [path, ...filePaths]) {
      if (!(await liesIn(nodeFs, one, data).catch(() => false))) return false
    }
    return true
  }

  /** The folders above the state folder by text, so that not every torrent is looked at with each save. */
  async #foldersAbove(): Promise<Set<string>> {
    const { folder } = this.#options
    const above = new Set<string>()
    for (const one of [folder, await realPathOf(nodeFs, folder).catch(() => folder)]) {
      for (let at = one; !above.has(at); at = dirname(at)) above.add(at)
    }
    return above
  }
}

/**
 * Whether a private torrent may not keep its trackers. With a key inside the data it keeps them, or it would lose them with every run; that
 * key was made by this user, and no torrent can make a file that nobody else may read.
 */
function isSilenced(saved: SavedTorrent, trust: RecordTrust): boolean {
  return trust === 'unproven' && saved.private && saved.trackers.length > 0
}
