import { createHmac, timingSafeEqual } from 'node:crypto'
import { systemCode } from '../util/errors.ts'
import { FoldersAbove, realPathOf } from './real-path.ts'
import type { RecordKey } from './record-key.ts'
import { nodeFs, type StorageFs } from './storage-fs.ts'

/**
 * How far a record is believed.
 *
 * - `trusted`: torrents cannot have written it. It lies outside their data, or is sealed with a key that does.
 * - `sealed`: it is sealed with a key that lies inside the data as well. It tells which files and links are ours, and is `unproven` otherwise.
 * - `unproven`: a torrent may have written it.
 */
export type RecordTrust = 'trusted' | 'sealed' | 'unproven'

/** Where records lie, and what they are about. */
export interface SealPlace {
  /** Folder of the records. */
  readonly folder: string
  /** Folder that a record is about: in no other one does its seal count. */
  readonly about: string
  /** Folders into which torrents write. */
  readonly data: readonly string[]
  /** The kind of record, so that one kind is never accepted as another. */
  readonly kind: string
}

/** Signs a text; undefined where signatures are not needed or there is no key. */
export type Signer = (text: string) => string | undefined

/** Says how far a text with this signature is believed. */
export type Judge = (text: string, mac: string | undefined) => RecordTrust

/**
 * Tells records that this user's programs wrote from others by HMAC-SHA-256 under the {@link RecordKey}. Kind and the real path of what it is about are
 * part of what is signed, so that no record counts in another place.
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

  /** Returns what signs the records of this place now. */
  async signer(): Promise<Signer> {
    if (await this.#isOutside(this.#place.folder)) return () => undefined
    const key = await this.#key.findOrMake()
    if (key === undefined) return () => undefined
    const about = await realPathOf(this.#fs, this.#place.about)
    return (text) => this.#sign(key, about, text)
  }

  /** Returns how far a record of this place is believed; `mac` is what it is signed with. */
  async trust(text: string, mac: string | undefined): Promise<RecordTrust> {
    const judge = await this.judge()
    return judge(text, mac)
  }

  /** As {@link trust}, for many records of this place. */
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

  /** Whether a folder lies in no folder of data; also false when that cannot be found out. */
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
