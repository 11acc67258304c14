import { TorrentError } from '../util/errors.ts'
import { isAmount } from '../util/options.ts'
import { show } from '../util/show.ts'
import type { Content } from './content.ts'
import type { RunState } from './run-state.ts'
import type { SavedTorrent } from './saved-torrent.ts'
import type { TorrentHost } from './torrent-host.ts'
import type { AddOptions } from './torrent-options.ts'

/** Rate limits and seeding goals of one torrent. */
export class TorrentLimits {
  #download: number
  #upload: number
  #seedRatio: number | undefined
  #seedTime: number | undefined

  constructor({ downloadLimit, uploadLimit, seedRatio, seedTime }: AddOptions) {
    this.#download = downloadLimit ?? Number.POSITIVE_INFINITY
    this.#upload = uploadLimit ?? Number.POSITIVE_INFINITY
    this.#seedRatio = seedRatio
    this.#seedTime = seedTime
  }

  /**
   * Received bytes per second, `Infinity` for no limit.
   * @throws RangeError unless the value is 0 or more.
   */
  get download(): number {
    return this.#download
  }

  set download(bytesPerSecond: number) {
    this.#download = checkedLimit('downloadLimit', bytesPerSecond)
  }

  /**
   * Sent bytes per second, `Infinity` for no limit.
   * @throws RangeError unless the value is 0 or more.
   */
  get upload(): number {
    return this.#upload
  }

  set upload(bytesPerSecond: number) {
    this.#upload = checkedLimit('uploadLimit', bytesPerSecond)
  }

  /** Ratio; undefined means the client's. */
  get seedRatio(): number | undefined {
    return this.#seedRatio
  }

  set seedRatio(ratio: number | undefined) {
    this.#seedRatio = checkedGoal('seedRatio', ratio)
  }

  /** Milliseconds; undefined means the client's. */
  get seedTime(): number | undefined {
    return this.#seedTime
  }

  set seedTime(milliseconds: number | undefined) {
    this.#seedTime = checkedGoal('seedTime', milliseconds)
  }

  /** Sets the throttles and allows or stops requests, by these limits, those of the client, and `state`. */
  apply(state: RunState, host: TorrentHost, content: Content | undefined): void {
    const { download, upload } = host.throttles
    // Even with a limit of 0, the rest of a block that is being received passes, because other messages follow it.
    download.rate = state.stopped ? 0 : this.#download
    upload.rate = state.stopped ? 0 : this.#upload
    if (content === undefined) return
    content.setFetching(state.error === undefined && download.rate > 0 && host.downloadLimit > 0)
    content.uploads.setLimit(Math.min(upload.rate, uploadShare(host)))
  }

  /** Returns the members that a restart needs. */
  remember(): Pick<SavedTorrent, 'downloadLimit' | 'uploadLimit' | 'seedRatio' | 'seedTime'> {
    return {
      downloadLimit: finite(this.#download),
      uploadLimit: finite(this.#upload),
      seedRatio: this.#seedRatio,
      seedTime: this.#seedTime
    }
  }
}

/** Returns a torrent's share of the client's upload limit, on which its number of upload slots depends. */
function uploadShare({ uploadLimit, serving }: TorrentHost): number {
  return uploadLimit === Number.POSITIVE_INFINITY ? uploadLimit : uploadLimit / Math.max(1, serving.count)
}

function checkedLimit(name: string, bytesPerSecond: number): number {
  if (isAmount(bytesPerSecond)) return bytesPerSecond
  throw new RangeError(
    `${name} is ${show(bytesPerSecond)}; it must be bytes per second, 0 or more, or Infinity`
  )
}

/** Returns a seeding goal; throws unless it is 0 or more, or undefined. */
function checkedGoal(name: string, value: number | undefined): number | undefined {
  if (value === undefined || isAmount(value)) return value
  throw new TorrentError('ERR_CLIENT_OPTION', `${name}: ${show(value)} must be a number, 0 or more`, {
    details: { option: name }
  })
}

/** Returns undefined for Infinity. */
function finite(limit: number): number | undefined {
  return Number.isFinite(limit) ? limit : undefined
}
