import { createHmac, timingSafeEqual } from 'node:crypto'
import { systemCode } from '../util/errors.ts'
import { FoldersAbove, realPathOf } from './real-path.ts'
import type { RecordKey } from './record-key.ts'
import { nodeFs, type StorageFs } from './storage-fs.ts'

/**
 * Trust in a resume record.
 *
 * - `trusted`: torrents cannot have written it. It is outside their data, or sealed with a key that is outside their data.
 * - `sealed`: it is sealed with a key that is inside the data too. It is believed about which files and links belong to the torrent, and
 *   counts as `unproven` otherwise.
 * - `unproven`: a torrent may have written it.
 */
export type RecordTrust = 'trusted' | 'sealed' | 'unproven'

/** Location and subject of records. */
export interface SealPlace {
  /** Folder that contains the records. */
  readonly folder: string
  /** Folder that a record describes; its seal is valid for no other one. */
  readonly about: string
  /** Folders into which torrents write. */
  readonly data: readonly string[]
  /** Kind of record; a seal is valid for one kind only. */
  readonly kind: string
}

/** Signs a text; returns undefined when no signature is needed or there is no key. */
export type Signer = (text: string) => string | undefined

/** Returns the trust in a text with this signature. */
export type Judge = (text: string, mac: string | undefined) => RecordTrust

/**
 * Identifies records written by this user's programs, with HMAC-SHA-256 under the {@link RecordKey}. The signature covers the kind of
 * record and the real path of the folder it describes, so that a record is not valid elsewhere.
 */
export class RecordSeal {
  readonly #key: RecordKey
  readonly #place: SealPlace
  readonly #fs: StorageFs

  constructor(key: RecordKey, place: SealPlace, fs: StorageFs = nodeFs) {
    this.#key = key
    this.#place = place
    this.#fs = fs
  }

  /** Returns a function that signs records of this place. */
  async signer(): Promise<Signer> {
    if (await this.#isOutside(this.#place.folder)) return () => undefined
    const key = await this.#key.findOrMake()
    if (key === undefined) return () => undefined
    const about = await realPathOf(this.#fs, this.#place.about)
    return (text) => this.#sign(key, about, text)
  }

  /** Returns the trust in a record of this place; `mac` is its signature. */
  async trust(text: string, mac: string | undefined): Promise<RecordTrust> {
    const judge = await this.judge()
    return judge(text, mac)
  }

  /** Returns a function that does the same as {@link trust}, for many records of this place. */
  async judge(): Promise<Judge> {
    if (await this.#isOutside(this.#place.folder)) return () => 'trusted'
    const key = await this.#key.find()
    const { folder } = this.#key
    if (key === undefined || folder === undefined) return () => 'unproven'
    const trust = (await this.#isOutside(folder)) ? 'trusted' : 'sealed'
    const about = await realPathOf(this.#fs, this.#place.about)
    return (text, mac) => {
      if (mac === undefined) return 'unproven'
      const right = Buffer.from(this.#sign(key, about, text))
      const given = Buffer.from(mac)
      return given.length === right.length && timingSafeEqual(given, right) ? trust : 'unproven'
    }
  }

  #sign(key: Uint8Array, about: string, text: string): string {
    const place = JSON.stringify([this.#place.kind, about])
    return createHmac('sha256', key).update(`${place}\n${text}`).digest('hex')
  }

  /** Returns whether a folder is outside all data folders; also false when that cannot be determined. */
  async #isOutside(folder: string): Promise<boolean> {
    try {
      const above = await FoldersAbove.of(this.#fs, folder)
      for (const data of this.#place.data) if (await above.has(data)) return false
      return true
    } catch (error) {
      if (systemCode(error) === undefined) throw error
      return false
    }
  }
}
