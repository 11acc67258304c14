import { hashKey } from '../metainfo/info-hashes.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import type { ResumeFile } from '../storage/resume-file.ts'
import { believed, type LoadedRecord } from '../storage/resume-record.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { abortable, type Deferred, deferred } from '../util/concurrency.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import { Content } from './content.ts'
import type { ContentEvents } from './content-events.ts'
import { isByName, storageIn } from './data-folder.ts'
import type { RunState } from './run-state.ts'
import type { SavedTorrent } from './saved-torrent.ts'
import { findNames } from './stored-names.ts'
import type { TorrentData } from './torrent-data.ts'
import { closedError } from './torrent-errors.ts'
import type { Choice } from './torrent-files.ts'
import type { TorrentHost } from './torrent-host.ts'
import type { TorrentInit } from './torrent-init.ts'
import type { TorrentMetadata } from './torrent-metadata.ts'
import type { Transfer } from './transfer.ts'

/** Dependencies of an {@link Opening}. */
export interface OpeningOptions {
  readonly host: TorrentHost
  readonly init: TorrentInit
  readonly state: RunState
  readonly data: TorrentData
  readonly metadata: TorrentMetadata
  readonly swarm: Swarm
  readonly transfer: Transfer
  /** Undefined if no resume record is kept. */
  readonly resumeFile: ResumeFile | undefined
  readonly events: ContentEvents
  superSeeding(): boolean
  overwrite(): boolean
  /** Called when the torrent is paused because the last run was. */
  onPaused(): void
  onVerified(piece: number): void
  /** Called when the storage is open; `isFirstRun` if there is no resume record. */
  onOpen(content: Content, isFirstRun: boolean): void
}

/** Opens the storage of a torrent once its metadata is known: given by the caller, saved by an earlier run, or fetched from peers. */
export class Opening {
  readonly #options: OpeningOptions
  readonly #ready: Deferred<void> = deferred()

  constructor(options: OpeningOptions) {
    this.#options = options
    options.metadata.listen({
      fetched: (metainfo) => this.#fetched(metainfo),
      failed: (error) => this.fail(error)
    })
  }

  /** Resolves when the files are known and the storage is open. */
  async ready(signal: AbortSignal | undefined): Promise<void> {
    await abortable(this.#ready.promise, signal)
  }

  /** Opens with the given metadata, or else with the saved one; without either, waits for metadata from peers. */
  async start(given: Metainfo | undefined): Promise<void> {
    const { resumeFile, metadata, swarm } = this.#options
    const metainfo = given ?? (await resumeFile?.loadMetainfo())
    if (metadata.known) return
    if (metainfo !== undefined) await this.open(metainfo)
    // Even without the metadata, the record can say that the torrent is private.
    else if ((await resumeFile?.load())?.record.private === true) swarm.makePrivate()
  }

  /** Sets the metadata and opens the storage. Rejects, as `ready` does, if that fails. */
  async open(metainfo: Metainfo): Promise<void> {
    const { state, data, metadata, swarm, resumeFile, onOpen, onVerified } = this.#options
    metadata.set(metainfo)
    if (metainfo.private) swarm.makePrivate()
    swarm.sources.addNodes(metainfo.nodes)
    // A paused or queued torrent looks for peers only to get its metadata.
    if (state.waits) swarm.manager.setDialling(false)
    let content: Content
    let isFirstRun: boolean
    try {
      const loaded = await resumeFile?.load()
      const pause = yieldToEventLoop()
      if (pause !== undefined) await pause
      if (state.closed) throw closedError()
      const before = loaded && { ...loaded, record: believed(loaded, metainfo.private) }
      const named = await this.#named(metainfo, before)
      if (state.closed) throw closedError()
      if (named !== metainfo) metadata.set(named)
      content = this.#restore(named, before)
      data.content = content
      content.table.onVerified(onVerified)
      if (before !== undefined) swarm.sources.recall(before.record)
      await content.open()
      isFirstRun = before === undefined
    } catch (thrown) {
      this.fail(thrown)
      throw thrown
    }
    if (state.closed) return
    state.open()
    this.#ready.resolve()
    onOpen(content, isFirstRun)
  }

  /** Rejects `ready`. */
  fail(error: unknown): void {
    this.#ready.reject(error)
  }

  #fetched(metainfo: Metainfo): void {
    const { metadata, swarm, resumeFile } = this.#options
    this.open(metainfo).catch(() => {})
    const bytes = metadata.torrentFile(swarm.sources.trackers.tiers)
    if (bytes !== undefined) void resumeFile?.keepTorrent(bytes)
  }

  /** Returns the metainfo with the names that its files have on disk. */
  async #named(metainfo: Metainfo, before: LoadedRecord | undefined): Promise<Metainfo> {
    const { host, init } = this.#options
    if (metainfo.spelling === undefined || !isByName(init)) return metainfo
    const infoHash = hashKey(init.infoHashes)
    return findNames(metainfo, {
      path: init.path,
      before,
      storage: () => storageIn(init, infoHash, host, before?.record, { readOnly: true })
    })
  }

  /** Creates the content, and restores the counters and the pause of the last run. */
  #restore(metainfo: Metainfo, before: LoadedRecord | undefined): Content {
    const record = before?.record
    const { host, init, state, swarm, transfer, resumeFile, events, superSeeding, overwrite, onPaused } =
      this.#options
    if (record !== undefined) transfer.restore(record)
    if (record?.paused === true && state.stayPaused()) onPaused()
    // The saved selection counts only if the resume record has none.
    const isAsked = init.select !== undefined || init.selectOnly !== undefined
    const choice = isAsked || record?.selection !== undefined ? init : withinFiles(init.saved, metainfo)
    const { select, selectOnly } = choice
    const options = { ...init, select, selectOnly, superSeeding: superSeeding(), overwrite: overwrite() }
    return new Content(host, metainfo, options, events, swarm.manager, transfer, resumeFile, before)
  }
}

/** Drops indices of files that do not exist from a saved selection, which may be older than the metadata. */
function withinFiles(saved: SavedTorrent | undefined, { files }: Metainfo): Choice {
  if (saved === undefined || !Array.isArray(saved.select)) return saved ?? {}
  const count = files.filter(({ pad }) => !pad).length
  return { select: saved.select.filter((index) => index < count) }
}
