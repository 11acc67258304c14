import { hashKey, hexV2, type InfoHashes } from '../metainfo/info-hashes.ts'
import { formatMagnet } from '../metainfo/magnet.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { parseInfoInTurns } from '../metainfo/parse-info.ts'
import { formatTorrent } from '../metainfo/parse-torrent.ts'
import { MetadataExchange } from '../swarm/metadata-exchange.ts'
import type { MetadataMemory } from '../swarm/metadata-memory.ts'
import { asError } from '../util/errors.ts'

/** Listener of a {@link TorrentMetadata}. */
export interface MetadataListener {
  /** Peers have sent the metadata. */
  fetched(metainfo: Metainfo): void
  /** Peers have sent what has the info hash, but is no torrent. */
  failed(error: Error): void
}

/** The first facts of a {@link TorrentMetadata}. */
export interface TorrentMetadataOptions {
  readonly infoHashes: InfoHashes
  /** For what is collected; all torrents share it. */
  readonly memory: MetadataMemory
  /** A name until a better one is known. */
  readonly name: string | undefined
  /** Web seeds that a magnet link names (BEP 19). */
  readonly webSeeds: readonly string[]
}

/** The identity of a torrent, apart from its data: little more than its info hash, until its metadata is given or comes from peers. */
export class TorrentMetadata {
  /** Between us and the peers. */
  readonly exchange: MetadataExchange
  readonly #options: TorrentMetadataOptions
  /** Aborts the parsing of metadata that peers have sent, while there is any. */
  #parsing: AbortController | undefined
  #metainfo: Metainfo | undefined
  #listener: MetadataListener | undefined

  /** Nothing is known yet. */
  constructor(options: TorrentMetadataOptions) {
    this.#options = options
    this.exchange = new MetadataExchange(
      options.infoHashes,
      options.memory,
      (info) => void this.#onInfo(info)
    )
  }

  /** Sets the listener that hears of metadata from peers. */
  listen(listener: MetadataListener): void {
    this.#listener = listener
  }

  /** Whether the metadata is known. */
  get known(): boolean {
    return this.#metainfo !== undefined
  }

  /** The name of the file or folder, else what a magnet link said, else the info hash. */
  get name(): string {
    return this.#metainfo?.name ?? this.#options.name ?? hashKey(this.#options.infoHashes)
  }

  /** The comment of its maker; undefined where there is none, or while the metadata is unknown. */
  get comment(): string | undefined {
    return this.#metainfo?.comment
  }

  /** The program that made it. */
  get createdBy(): string | undefined {
    return this.#metainfo?.createdBy
  }

  /** When it was made. */
  get creationDate(): Date | undefined {
    return this.#metainfo?.creationDate
  }

  /** URLs of web seeds (BEP 19), of the metadata and of a magnet link. */
  get webSeeds(): readonly string[] {
    return [...new Set([...(this.#metainfo?.webSeeds ?? []), ...this.#options.webSeeds])]
  }

  /** In hexadecimal, for a hybrid torrent (BEP 52). */
  get infoHashV2(): string | undefined {
    return hexV2(this.#metainfo?.infoHashes ?? {}) ?? hexV2(this.#options.infoHashes)
  }

  /** A magnet link with these trackers. */
  magnetURI(trackers: readonly (readonly string[])[]): string {
    return formatMagnet({
      infoHashes: this.#options.infoHashes,
      name: this.name,
      trackers: trackers.flat(),
      webSeeds: this.webSeeds
    })
  }

  /** The bytes of a .torrent file with these trackers; undefined while the metadata is unknown. */
  torrentFile(trackers: readonly (readonly string[])[]): Uint8Array | undefined {
    return this.#metainfo && formatTorrent({ ...this.#metainfo, announce: trackers })
  }

  /** The metadata is known, and is given to peers from now on. */
  set(metainfo: Metainfo): void {
    this.#metainfo = metainfo
    this.#parsing?.abort()
    this.exchange.set(metainfo.info)
  }

  /** Asks no peer any more, and gives up metadata that is being parsed; idempotent. */
  close(): void {
    this.#parsing?.abort()
    this.exchange.close()
  }

  async #onInfo(info: Uint8Array): Promise<void> {
    this.#parsing = new AbortController()
    const { signal } = this.#parsing
    let metainfo: Metainfo
    try {
      metainfo = await parseInfoInTurns(info, signal)
    } catch (thrown) {
      if (!signal.aborted) this.#listener?.failed(asError(thrown))
      return
    }
    // When it is aborted, the torrent is closed or its metadata has come from elsewhere.
    if (!signal.aborted) this.#listener?.fetched(metainfo)
  }
}
