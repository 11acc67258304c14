import { hashesOfKey } from '../metainfo/info-hashes.ts'
import type { TorrentInit } from '../torrent/torrent-init.ts'
import type { TorrentMemo } from '../torrent/torrent-memo.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import { type Deferred, deferred } from '../util/concurrency.ts'
import { asError, TorrentError, warnProcess } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { shareTurn } from '../util/turn-share.ts'
import { placeOf } from './restored-torrent.ts'
import type { Session } from './session.ts'

/** Torrents of the last run that are opened at the same time. */
const opensAtOnce = 16

/** What a {@link Restoration} asks and tells. */
export interface RestorationEvents {
  /** Makes a torrent and enters it in the list. */
  enter(init: TorrentInit): TorrentSession
  /** Where data lies now for which nobody chose a folder; rejects when there is no private folder for it. */
  defaultFolder(memo: TorrentMemo): Promise<string>
  /** A torrent that was entered has begun. */
  begun(torrent: TorrentSession): void
  /** Waits for the files of a torrent. */
  ready(torrent: TorrentSession): Promise<void>
  /** Resolves when torrents may begin. */
  readonly listening: Promise<void>
  warning(error: Error): void
}

/** Brings the torrents of the last run back: first all into the list, then each to life. */
export class Restoration {
  /** Resolves when the torrents are in the list. */
  readonly listed: Promise<void>
  readonly #session: Session
  readonly #state: string
  readonly #events: RestorationEvents
  readonly #opened: Deferred<void> = deferred()
  /** Torrents that were brought back, and not added since. */
  readonly #unclaimed = new Set<TorrentSession>()
  #closed = false

  /** Begins at once; `state` is the folder of the resume records. */
  constructor(session: Session, state: string, events: RestorationEvents) {
    this.#session = session
    this.#state = state
    this.#events = events
    this.listed = this.#run()
  }

  /** Resolves when each torrent is open, has failed, or waits for its metadata; with those that are here and were not added since. */
  async torrents(): Promise<readonly TorrentSession[]> {
    await this.#opened.promise
    return [...this.#unclaimed].filter((torrent) => !isClosed(torrent))
  }

  /** Somebody adds a torrent that is here: whether that is the first time since it was brought back. */
  claims(torrent: TorrentSession): boolean {
    return this.#unclaimed.delete(torrent)
  }

  /** Opens no more; idempotent. */
  close(): void {
    this.#closed = true
    this.#opened.resolve()
  }

  async #run(): Promise<void> {
    const memos = await this.#session.open()
    if (this.#closed) {
      for (const memo of memos) this.#session.setAside(memo)
      return
    }
    const torrents: TorrentSession[] = []
    const opened: TorrentMemo[] = []
    for (const memo of memos) {
      const turn = shareTurn()
      if (turn !== undefined) await turn
      if (this.#closed) {
        this.#session.setAside(memo)
        continue
      }
      const path = await this.#pathOf(memo)
      if (path === undefined || this.#closed) {
        this.#session.setAside(memo)
        continue
      }
      const torrent = this.#events.enter({ ...initOf(memo), path, state: this.#state })
      torrents.push(torrent)
      opened.push(memo)
      this.#unclaimed.add(torrent)
    }
    void this.#events.listening
      .then(() => forEachLimit(torrents.length, opensAtOnce, (n) => this.#open(torrents[n], opened[n])))
      // The fault of a listener is all that may come here, and must not keep anybody waiting.
      .catch((thrown) => warnProcess(asError(thrown)))
      .then(() => this.#opened.resolve())
  }

  /** Begins a torrent; one that cannot begin stays for the next run. Never rejects. */
  async #open(torrent: TorrentSession | undefined, memo: TorrentMemo | undefined): Promise<void> {
    if (torrent === undefined || memo === undefined || isClosed(torrent) || this.#closed) return
    try {
      await torrent.start(undefined)
      // Of one that was added meanwhile the metadata may have come by that.
      if (torrent.data.content !== undefined && this.#unclaimed.has(torrent)) this.#session.isKept(torrent)
      if (torrent.data.content === undefined) void this.#await(torrent, memo)
    } catch (thrown) {
      if (this.#closed || isClosed(torrent)) return
      this.#setAside(torrent, memo, thrown)
      await torrent.close()
    } finally {
      this.#events.begun(torrent)
    }
  }

  /** Waits for the files of a torrent, so that another who gives up does not end it. Never rejects. */
  async #await(torrent: TorrentSession, memo: TorrentMemo): Promise<void> {
    try {
      await this.#events.ready(torrent)
    } catch (thrown) {
      // Whoever closes it wants it gone.
      if (this.#closed || (thrown instanceof TorrentError && thrown.code === 'ERR_TORRENT_CLOSED')) return
      this.#setAside(torrent, memo, thrown)
    }
  }

  /** The folder of the data; undefined, with a warning, when there is none. A folder in a place where others may write is looked at again. */
  async #pathOf(memo: TorrentMemo): Promise<string | undefined> {
    if (memo.folderMode === undefined) return memo.path
    try {
      return await this.#events.defaultFolder(memo)
    } catch (thrown) {
      this.#warn(memo.name ?? memo.infoHash, memo, thrown)
      return undefined
    }
  }

  #setAside(torrent: TorrentSession, memo: TorrentMemo, thrown: unknown): void {
    this.#session.setAside(memo)
    this.#warn(torrent.metadata.name, memo, thrown)
  }

  #warn(name: string, memo: TorrentMemo, thrown: unknown): void {
    const cause = asError(thrown)
    const message = `${name} cannot be brought back for now: ${cause.message}`
    this.#events.warning(
      new TorrentError('ERR_CLIENT_STATE', message, { cause, details: { infoHash: memo.infoHash } })
    )
  }
}

function isClosed({ status }: TorrentSession): boolean {
  return status === 'closed'
}

function initOf(memo: TorrentMemo): Omit<TorrentInit, 'state'> {
  const { infoHash, infoHashV2, name, path } = memo
  return {
    infoHashes: hashesOfKey(infoHash, infoHashV2),
    name,
    announce: memo.trackers,
    peers: memo.peers,
    paused: memo.paused,
    seedRatio: memo.seedRatio,
    seedTime: memo.seedTime,
    downloadLimit: memo.downloadLimit,
    uploadLimit: memo.uploadLimit,
    superSeeding: memo.superSeeding,
    overwrite: memo.overwrite,
    path,
    ...placeOf(memo),
    memo
  }
}
