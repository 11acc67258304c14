import { TorrentError } from '../util/errors.ts'

/** Returns an ERR_METAINFO_INVALID with a reason. */
export function invalid(reason: string, details: Record<string, unknown> = {}): TorrentError {
  return new TorrentError('ERR_METAINFO_INVALID', `Not a valid torrent: ${reason}`, { details })
}

/** Describes a value that should have been an integer, for an error message. */
export function shown(value: unknown, isThere: boolean): string {
  if (typeof value === 'number' || typeof value === 'bigint') return `${value}`
  return isThere ? 'another type' : 'missing'
}
