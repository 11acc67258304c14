import { TorrentError } from '../util/errors.ts'

/** An ERR_METAINFO_INVALID that says why. */
export function invalid(reason: string, details: Record<string, unknown> = {}): TorrentError {
  return new TorrentError('ERR_METAINFO_INVALID', `Not a valid torrent: ${reason}`, { details })
}

/** A value where an integer is expected, as a message shows it. */
export function shown(value: unknown, isThere: boolean): string {
  if (typeof value === 'number' || typeof value === 'bigint') return `${value}`
  return isThere ? 'another type' : 'missing'
}
