import type { Client, PieceCell, Torrent } from '../index.ts'
import { systemCode } from '../util/errors.ts'
import { urlPath } from './catalog.ts'

/** Maximum files and peers in a snapshot; a page could not show more at once. */
export const mostFilesShown = 2000
const mostPeersShown = 200

/** An error as JSON. */
export interface TorrentFault {
  /** The error's `code`, usually one of `errorCodes`; null if it has none. */
  readonly code: string | null
  readonly message: string
}

/** A torrent in the list of the page. */
export interface TorrentSummary {
  readonly infoHash: string
  readonly name: string
  readonly status: string
  /** The error that stopped it; null unless `status` is `error`. */
  readonly error: TorrentFault | null
  readonly length: number
  readonly progress: number
  readonly downloadSpeed: number
  readonly uploadSpeed: number
  /** Uploaded bytes. */
  readonly uploaded: number
  readonly peers: number
  /** Milliseconds; null while unknown. */
  readonly timeRemaining: number | null
}

/** A file in the list of the page. */
export interface FileSummary {
  readonly path: string
  readonly length: number
  readonly type: string
  /** Path on the server, without token. */
  readonly url: string
}

/** The changing state of the torrent that a page shows. */
export interface TorrentDetail {
  readonly infoHash: string
  readonly pieceCount: number
  readonly pieceLength: number
  readonly ratio: number
  readonly private: boolean
  /** Progress of each listed file, in thousandths. */
  readonly fileProgress: readonly number[]
  /** One character for each listed file: `1` for selected, `0` for not. */
  readonly selected: string
  /** See {@link pieceMap}. */
  readonly map: string
  /** Positions of streams, from 0 to 1 in the torrent. */
  readonly cursors: readonly number[]
  readonly peers: readonly object[]
}

/** Returns the current entry of a torrent for the list. */
export function summarise(torrent: Torrent): TorrentSummary {
  const { timeRemaining } = torrent
  return {
    infoHash: torrent.infoHash,
    name: torrent.name,
    status: torrent.status,
    error: faultOf(torrent),
    length: torrent.length,
    progress: torrent.progress,
    downloadSpeed: Math.round(torrent.downloadSpeed),
    uploadSpeed: Math.round(torrent.uploadSpeed),
    uploaded: torrent.uploaded,
    peers: torrent.peers.length,
    timeRemaining: Number.isFinite(timeRemaining) ? Math.round(timeRemaining) : null
  }
}

function faultOf({ status, error }: Torrent): TorrentFault | null {
  if (status !== 'error' || error === undefined) return null
  return { code: systemCode(error) ?? null, message: error.message }
}

/** Returns the number of nodes in a client's DHT; null without DHT. */
export function dhtNodes(client: Client | undefined): number | null {
  const size = client?.dht?.size
  return size === undefined ? null : size[4] + size[6]
}

/** Returns the first {@link mostFilesShown} files. */
export function listFiles(torrent: Torrent): readonly FileSummary[] {
  return torrent.files.slice(0, mostFilesShown).map((file) => ({
    path: file.path,
    length: file.length,
    type: file.type,
    url: urlPath(torrent, file)
  }))
}

/** Returns the changing state of a torrent. */
export function detail(torrent: Torrent): TorrentDetail {
  const files = torrent.files.slice(0, mostFilesShown)
  const { length } = torrent
  return {
    infoHash: torrent.infoHash,
    pieceCount: torrent.pieceCount,
    pieceLength: torrent.pieceLength,
    ratio: torrent.ratio,
    private: torrent.private,
    fileProgress: files.map(({ progress }) => Math.floor(progress * 1000)),
    selected: files.map(({ selected }) => (selected ? '1' : '0')).join(''),
    map: pieceMap(torrent.pieceCells),
    cursors: torrent.streams.map(({ file, position }) =>
      length === 0 ? 0 : (file.offset + position) / length
    ),
    peers: torrent.peers.slice(0, mostPeersShown).map((peer) => ({
      address: peer.address,
      client: peer.client ?? '',
      source: peer.incoming ? 'incoming' : peer.source,
      transport: peer.transport,
      encryption: peer.encryption,
      progress: peer.progress,
      downloadSpeed: Math.round(peer.downloadSpeed),
      uploadSpeed: Math.round(peer.uploadSpeed),
      peerChoking: peer.peerChoking,
      amChoking: peer.amChoking,
      peerInterested: peer.peerInterested,
      amInterested: peer.amInterested,
      requests: peer.requests,
      piece: peer.piece ?? null
    }))
  }
}

/**
 * Encodes the pieces as at most 1024 characters, each for several consecutive pieces: a digit for the verified part in ninths, a
 * letter `a` to `j` instead while some are being downloaded, `x` while some are being hashed, and `-` when none is verified and at least
 * one is on no connected peer.
 */
export function pieceMap(cells: readonly PieceCell[]): string {
  let map = ''
  for (const { start, end, verified, checking, partial, unavailable } of cells) {
    const ninths = Math.floor((verified / (end - start)) * 9)
    if (checking > 0) map += 'x'
    else if (partial > 0) map += 'abcdefghij'[ninths] ?? 'a'
    else map += unavailable > 0 && verified === 0 ? '-' : String(ninths)
  }
  return map
}
