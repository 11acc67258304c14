import { hashKey, hexV2, type InfoHashes } from '../metainfo/info-hashes.ts'
import { formatMagnet } from '../metainfo/magnet.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { parseInfoInSlices } from '../metainfo/parse-info.ts'
import { formatTorrent } from '../metainfo/parse-torrent.ts'
import { MetadataExchange } from '../swarm/metadata-exchange.ts'
import type { MetadataMemory } from '../swarm/metadata-memory.ts'
import { asError } from '../util/errors.ts'

/** Callbacks of a {@link TorrentMetadata}. */
export interface MetadataListener {
  /** Called with the metadata that peers have sent. */
  fetched(metainfo: Metainfo): void
  /** Called if the metadata from peers has the right info hash but cannot be parsed. */
  failed(error: Error): void
}

/** Options of a {@link TorrentMetadata}. */
export interface TorrentMetadataOptions {
  readonly infoHashes: InfoHashes
  /** Memory for metadata that is being collected; shared by all torrents. */
  readonly memory: MetadataMemory
  /** Name until the metadata is known. */
  readonly name: string | undefined
  /** Web seed URLs of a magnet link (BEP 19). */
  readonly webSeeds: readonly string[]
}

/** The metadata of a torrent: only its info hash and a name at first, until the metadata is given or comes from peers. */
export class TorrentMetadata {
  /** Metadata exchange with peers (BEP 9). */
  readonly exchange: MetadataExchange
  readonly #options: TorrentMetadataOptions
  /** Aborts the parsing of metadata from peers. */
  #parsing: AbortController | undefined
  #metainfo: Metainfo | undefined
  #listener: MetadataListener | undefined

  /** Starts without metadata; call `set` once it is known. */
  constructor(options: TorrentMetadataOptions) {
    this.#options = options
    this.exchange = new MetadataExchange(
      options.infoHashes,
      options.memory,
      (info) => void this.#onInfo(info)
    )
  }

  /** Sets the callbacks for metadata from peers. */
  listen(listener: MetadataListener): void {
    this.#listener = listener
  }

  get known(): boolean {
    return this.#metainfo !== undefined
  }

  /** Name of the file or folder, or else of the magnet link, or else the info hash. */
  get name(): string {
    return this.#metainfo?.name ?? this.#options.name ?? hashKey(this.#options.infoHashes)
  }

  /** The comment in the .torrent; undefined if there is none. */
  get comment(): string | undefined {
    return this.#metainfo?.comment
  }

  /** The program that created the .torrent; undefined if it does not say. */
  get createdBy(): string | undefined {
    return this.#metainfo?.createdBy
  }

  /** Creation date of the .torrent; undefined if it does not say. */
  get creationDate(): Date | undefined {
    return this.#metainfo?.creationDate
  }

  /** Web seed URLs (BEP 19) of the metadata and the magnet link, without duplicates. */
  get webSeeds(): readonly string[] {
    return [...new Set([...(this.#metainfo?.webSeeds ?? []), ...this.#options.webSeeds])]
  }

  /** The v2 info hash in hexadecimal; undefined unless the torrent is a hybrid (BEP 52). */
  get infoHashV2(): string | undefined {
    return hexV2(this.#metainfo?.infoHashes ?? {}) ?? hexV2(this.#options.infoHashes)
  }

  /** Returns a magnet link with these trackers. */
  magnetURI(trackers: readonly (readonly string[])[]): string {
    return formatMagnet({
      infoHashes: this.#options.infoHashes,
      name: this.name,
      trackers: trackers.flat(),
      webSeeds: this.webSeeds
    })
  }

  /** Returns the bytes of a .torrent with these trackers, or undefined while the metadata is unknown. */
  torrentFile(trackers: readonly (readonly string[])[]): Uint8Array | undefined {
    return this.#metainfo && formatTorrent({ ...this.#metainfo, announce: trackers })
  }

  /** Sets the metadata, and sends it to peers that request it from now on. */
  set(metainfo: Metainfo): void {
    this.#metainfo = metainfo
    this.#parsing?.abort()
    this.exchange.set(metainfo.info)
  }

  /** Stops the metadata exchange and the parsing of metadata. Idempotent. */
  close(): void {
    this.#parsing?.abort()
    this.exchange.close()
  }

  async #onInfo(info: Uint8Array): Promise<void> {
    this.#parsing = new AbortController()
    const { signal } = this.#parsing
    let metainfo: Metainfo
    try {
      metainfo = await parseInfoInSlices(info, signal)
    } catch (thrown) {
      if (!signal.aborted) this.#listener?.failed(asError(thrown))
      return
    }
    // Aborted if the torrent is closed, or its metadata has come from another source.
    if (!signal.aborted) this.#listener?.fetched(metainfo)
  }
}
