import { TorrentError } from '../util/errors.ts'

/** What calls and reads end with that a closed torrent cannot do any more. */
export function closedError(): TorrentError {
  return new TorrentError('ERR_TORRENT_CLOSED', 'the torrent was closed')
}

/** What calls end with that need the files. */
export function metadataError(): TorrentError {
  return new TorrentError('ERR_TORRENT_METADATA', 'the files are not known yet: wait for the metadata')
}
