import { TorrentError } from '../util/errors.ts'

/** Returns the error of calls and reads of a closed torrent. */
export function closedError(): TorrentError {
  return new TorrentError('ERR_TORRENT_CLOSED', 'the torrent was closed')
}

/** Returns the error of calls that need the files before these are known. */
export function metadataError(): TorrentError {
  return new TorrentError('ERR_TORRENT_METADATA', 'the files are not known yet: wait for the metadata')
}
