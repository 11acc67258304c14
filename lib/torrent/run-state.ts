import type { Content } from './content.ts'
import type { SavedTorrent } from './saved-torrent.ts'

/**
 * - `metadata`: the files are not known yet
 * - `checking`: existing data is being hashed, and nothing is being downloaded meanwhile
 * - `downloading`: bytes are missing that are selected or that an open stream reads
 * - `seeding`: every byte is stored, or everything selected is stored and no open stream needs missing bytes
 * - `idle`: nothing is selected, and bytes are missing that no open stream needs; peers stay connected
 * - `queued`: waits for other torrents (`maxActiveDownloads`, `maxActiveSeeds`), without peers
 * - `finished`: reached `seedRatio` or `seedTime`, without peers; `resume()` continues without a goal
 * - `paused`: after `pause()`
 * - `error`: storage failed; `resume()` tries again
 * - `closed`: after `close()`; final
 *
 * Transitions:
 * - metadata → checking | downloading | seeding | idle
 * - checking, downloading, seeding and idle change into each other with pieces, selections and streams
 * - metadata | checking | downloading | seeding | idle ↔ paused; all but metadata ↔ queued
 * - seeding → finished → (resume) seeding
 * - any → error → (resume) the current activity; any → closed
 */
export type TorrentStatus =
  | 'metadata'
  | 'checking'
  | 'downloading'
  | 'seeding'
  | 'idle'
  | 'queued'
  | 'finished'
  | 'paused'
  | 'error'
  | 'closed'

/**
 * The reasons why a torrent is stopped: a pause, the client's queue, a seeding goal, or a fault. Several can hold at a time; `status`
 * shows the one that counts most: a paused torrent stays `paused`, whether it is queued or not.
 * Methods that change the state return whether it has changed. After `close` nothing changes.
 */
export class RunState {
  #paused: boolean
  /** Whether the option `paused` or a call of `resume` has decided in this run; the pause of the last run then does not count. */
  #decided: boolean
  #queued = false
  #finished: boolean
  #goalWaived: boolean
  #filesKnown = false
  #error: Error | undefined
  #closed = false

  /** `paused` is the option of `add`, `saved` the state of an earlier run. */
  constructor(paused: boolean | undefined, saved: SavedTorrent | undefined) {
    this.#paused = paused ?? false
    this.#decided = paused !== undefined
    this.#finished = saved?.finished ?? false
    this.#goalWaived = saved?.goalWaived ?? false
  }

  /** Returns the status of the torrent; `content` is undefined until the metadata is known. */
  status(content: Content | undefined): TorrentStatus {
    if (this.#closed) return 'closed'
    if (this.#error !== undefined) return 'error'
    if (this.#paused) return 'paused'
    if (content === undefined || !this.#filesKnown) return 'metadata'
    if (this.#finished) return 'finished'
    if (this.#queued) return 'queued'
    return content.activity
  }

  /** Whether no reason stops the torrent. */
  get running(): boolean {
    return !this.stopped && this.#error === undefined
  }

  /** Whether payload and dialling are stopped, by a pause, a goal or the queue. */
  get stopped(): boolean {
    return this.#paused || this.away
  }

  /** Whether it will be stopped once its files are known. */
  get waits(): boolean {
    return this.#paused || this.#finished || this.#queued
  }

  /** Whether it has left the swarm, without peers and trackers. It never leaves before its files are known, because `add` waits for them. */
  get away(): boolean {
    return this.#filesKnown && (this.#finished || this.#queued)
  }

  /** Whether the files are known and the storage is open. */
  get filesKnown(): boolean {
    return this.#filesKnown
  }

  /** The fault that stopped it; undefined again after `resume`. */
  get error(): Error | undefined {
    return this.#error
  }

  /** Whether the torrent is closed. */
  get closed(): boolean {
    return this.#closed
  }

  /** Whether the user has paused it. */
  get paused(): boolean {
    return this.#paused
  }

  /** Whether the user has resumed it beyond its goal. */
  get goalWaived(): boolean {
    return this.#goalWaived
  }

  /** Pauses the torrent. */
  pause(): boolean {
    if (this.#paused || this.#closed) return false
    this.#paused = true
    return true
  }

  /** Pauses the torrent because the last run was paused, unless this run has decided otherwise. */
  stayPaused(): boolean {
    return !this.#decided && this.pause()
  }

  /** Resumes the torrent: ends a pause, a fault and a goal. The queue may still hold it. Returns true unless the torrent is closed. */
  resume(): boolean {
    if (this.#closed) return false
    this.#paused = false
    this.#decided = true
    this.#error = undefined
    if (this.#finished) this.#goalWaived = true
    this.#finished = false
    return true
  }

  /** Queues the torrent, or lets it run. */
  setQueued(queued: boolean): boolean {
    if (queued === this.#queued || this.#closed) return false
    this.#queued = queued
    return true
  }

  /** Stops the torrent at its goal. */
  finish(): boolean {
    if (this.#finished || this.#closed) return false
    this.#finished = true
    return true
  }

  /** Continues a finished torrent because bytes are missing again or a stream reads; its goal still counts. */
  unfinish(): boolean {
    if (!this.#finished || this.#closed) return false
    this.#finished = false
    return true
  }

  /** Marks the files as known and the storage as open. */
  open(): void {
    this.#filesKnown = true
  }

  /** Stops the torrent with a fault. */
  fail(error: Error): boolean {
    if (this.#closed || this.#error !== undefined) return false
    this.#error = error
    return true
  }

  /** Returns the members that a restart needs. */
  remember(): Pick<SavedTorrent, 'paused' | 'finished' | 'goalWaived'> {
    return { paused: this.#paused, finished: this.#finished, goalWaived: this.#goalWaived }
  }

  /** Marks the torrent as closed. */
  close(): void {
    this.#closed = true
  }
}
