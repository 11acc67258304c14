import { dirname } from 'node:path'
import { isInside, realPathOf } from '../storage/real-path.ts'
import type { RecordKey } from '../storage/record-key.ts'
import { RecordSeal, type RecordTrust, type Signer } from '../storage/record-seal.ts'
import { nodeFs } from '../storage/storage-fs.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { SavedLine } from './saved-torrents.ts'

/** Options of {@link SavedTorrentsTrust}. */
export interface SavedTorrentsTrustOptions {
  /** The state folder. */
  readonly folder: string
  /** The client's option `path`: its data folder. */
  readonly data: string | undefined
  readonly key: RecordKey
}

/** Result of {@link SavedTorrentsTrust.judge}. */
export interface JudgedTorrents {
  readonly savedTorrents: readonly SavedTorrent[]
  /** Lines of torrents that are not restored. */
  readonly refused: readonly SavedLine[]
  /** Number of private torrents that are restored without their trackers. */
  readonly silenced: number
  /** Whether every line is trusted, so that the list need not be signed again. */
  readonly trusted: boolean
}

/**
 * Decides which lines of a saved list are trusted. If torrents write into a folder above the state folder, a malicious torrent could
 * write the list. A torrent of an unsigned line is then refused if its data is outside the client's data folder, and a private one is
 * restored without trackers.
 */
export class SavedTorrentsTrust {
  readonly #options: SavedTorrentsTrustOptions

  constructor(options: SavedTorrentsTrustOptions) {
    this.#options = options
  }

  /** Splits the lines of an earlier run into restored and refused torrents. */
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

  /** Returns a function that signs the lines of these torrents, if they need a signature. */
  async signer(savedTorrents: readonly SavedTorrent[]): Promise<Signer> {
    const above = await this.#foldersAbove()
    return this.#seal(savedTorrents.map(({ path }) => path).filter((path) => above.has(path))).signer()
  }

  #seal(paths: readonly string[]): RecordSeal {
    const { folder, data, key } = this.#options
    const all = new Set(data === undefined ? paths : [data, ...paths])
    return new RecordSeal(key, { folder, about: folder, data: [...all], kind: 'session' })
  }

  /** Returns whether a torrent writes only inside the client's data folder; without one, inside the parent of the state folder. */
  async #isInside({ path, filePaths = [] }: SavedTorrent): Promise<boolean> {
    const { folder, data = dirname(folder) } = this.#options
    for (const one of [path, ...filePaths]) {
      if (!(await isInside(nodeFs, one, data).catch(() => false))) return false
    }
    return true
  }

  /** Returns the folders above the state folder, by path and by real path, so that a save need not resolve each torrent's path. */
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
 * Returns whether a private torrent is restored without its trackers, because its line is `unproven`. A `sealed` line keeps them: if the
 * key is inside the data, no line is ever `trusted`, and each run would drop them. Keeping them is safe, because only this user can read
 * the key file, and a torrent cannot create one.
 */
function isSilenced(saved: SavedTorrent, trust: RecordTrust): boolean {
  return trust === 'unproven' && saved.private && saved.trackers.length > 0
}
