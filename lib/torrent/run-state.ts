import type { Content } from './content.ts'
import type { SavedTorrent } from './saved-torrent.ts'

/**
 * - `metadata`: the files are not known yet
 * - `checking`: data that was found is being hashed, and nothing else is to be done meanwhile
 * - `downloading`: something that is selected, or that an open stream reads, is missing
 * - `seeding`: every byte is here, or everything selected is and no open stream lacks anything
 * - `idle`: nothing is selected, not every byte is here, and no open stream lacks anything; peers stay connected
 * - `queued`: it waits until fewer others run (`maxActiveDownloads`, `maxActiveSeeds`); it has no peers meanwhile
 * - `finished`: it has seeded as much as it should (`seedRatio`, `seedTime`); `resume()` continues it without such an end
 * - `paused`: by `pause()`
 * - `error`: storage failed; `resume()` tries again
 * - `closed`: for good
 *
 * metadata → checking | downloading | seeding | idle; those four change as pieces come, selections change, and streams are
 * opened and closed; each of these ↔ paused; each of these but metadata ↔ queued; seeding → finished → (resume) seeding; each → error → (resume) downloading;
 * all → closed.
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
 * The reasons for which a torrent is stopped: the user, the queue of the client, the goal that it has reached, or a fault. Several may
 * hold at a time, and `status` names the weightiest: what is paused and has its turn in the queue is still paused.
 * Methods that change something return whether they did; after `close` none does.
 */
export class RunState {
  #paused: boolean
  /** The user has said in this run whether it runs, which counts more than what the last run has left. */
  #decided: boolean
  #held = false
  #finished: boolean
  #goalWaived: boolean
  #filesKnown = false
  #error: Error | undefined
  #closed = false

  /** `paused` is what the user says now, `saved` what an earlier run has left. */
  constructor(paused: boolean | undefined, saved: SavedTorrent | undefined) {
    this.#paused = paused ?? false
    this.#decided = paused !== undefined
    this.#finished = saved?.finished ?? false
    this.#goalWaived = saved?.goalWaived ?? false
  }

  /** State of the torrent; `content` is its data, as soon as its metadata is known. */
  status(content: Content | undefined): TorrentStatus {
    if (this.#closed) return 'closed'
    if (this.#error !== undefined) return 'error'
    if (this.#paused) return 'paused'
    if (content === undefined || !this.#filesKnown) return 'metadata'
    if (this.#finished) return 'finished'
    if (this.#held) return 'queued'
    return content.activity
  }

  /** Whether nothing has stopped it. */
  get running(): boolean {
    return !this.stopped && this.#error === undefined
  }

  /** Whether it is not to move payload or to dial. */
  get stopped(): boolean {
    return this.#paused || this.away
  }

  /** Whether it is not to run once its files are known. */
  get waits(): boolean {
    return this.#paused || this.#finished || this.#held
  }

  /** Whether it has left the swarm for now. Without its files it does not: they are what everybody waits for. */
  get away(): boolean {
    return this.#filesKnown && (this.#finished || this.#held)
  }

  /** Whether the files are known and the storage is open. */
  get filesKnown(): boolean {
    return this.#filesKnown
  }

  /** The fault that stopped it; undefined again after `resume`. */
  get error(): Error | undefined {
    return this.#error
  }

  /** Whether the torrent has ended. */
  get closed(): boolean {
    return this.#closed
  }

  /** Whether the user has stopped it. */
  get paused(): boolean {
    return this.#paused
  }

  /** Whether the user has had it go on beyond its goal. */
  get goalWaived(): boolean {
    return this.#goalWaived
  }

  /** The user stops it. */
  pause(): boolean {
    if (this.#paused || this.#closed) return false
    this.#paused = true
    return true
  }

  /** The last run was paused, which this one is too unless the user has said otherwise. */
  stayPaused(): boolean {
    return !this.#decided && this.pause()
  }

  /** The user resumes it, whatever has stopped it but the queue. */
  resume(): boolean {
    if (this.#closed) return false
    this.#paused = false
    this.#decided = true
    this.#error = undefined
    if (this.#finished) this.#goalWaived = true
    this.#finished = false
    return true
  }

  /** The queue has it wait, or go on. */
  hold(held: boolean): boolean {
    if (held === this.#held || this.#closed) return false
    this.#held = held
    return true
  }

  /** It has reached its goal. */
  finish(): boolean {
    if (this.#finished || this.#closed) return false
    this.#finished = true
    return true
  }

  /** Something is missing again or is read, so that the goal is a matter of later. */
  unfinish(): boolean {
    if (!this.#finished || this.#closed) return false
    this.#finished = false
    return true
  }

  /** The files are known and the storage is open. */
  open(): void {
    this.#filesKnown = true
  }

  /** Storage or we ourselves failed. */
  fail(error: Error): boolean {
    if (this.#closed || this.#error !== undefined) return false
    this.#error = error
    return true
  }

  /** The facts that a restart needs. */
  remember(): Pick<SavedTorrent, 'paused' | 'finished' | 'goalWaived'> {
    return { paused: this.#paused, finished: this.#finished, goalWaived: this.#goalWaived }
  }

  /** The torrent ends. */
  close(): void {
    this.#closed = true
  }
}
