import type { Peer } from '../swarm/peer.ts'
import type { TrackerStatus } from '../tracker/tracker-state.ts'
import { redactText, redactUrl } from '../util/redact.ts'
import type { Content } from './content.ts'
import { whyNotRequesting } from './not-requesting.ts'
import type {
  PeerInspection,
  PieceInspection,
  StreamInspection,
  TorrentInspection,
  TrackerInspection
} from './torrent-inspection.ts'
import type { TorrentSession } from './torrent-session.ts'

const noPieces: PieceInspection = {
  missing: 0,
  unchecked: 0,
  verified: 0,
  stored: 0,
  unproven: 0,
  partial: 0,
  wanted: 0
}

/** Returns a snapshot of a torrent. `now` is monotonic. Takes time in proportion to peers and addresses, not to pieces. */
export function inspectTorrent(session: TorrentSession, now: number): TorrentInspection {
  const { host, data, metadata, state, swarm, status } = session
  const { content } = data
  const { sources, manager } = swarm
  const connected = [...manager.peers.values()]
  const peers = connected.map((peer) => inspectPeer(session, peer, now))
  const pieces = content === undefined ? noPieces : inspectPieces(content)
  const requests = peers.reduce((sum, peer) => sum + peer.requests, 0)
  const account = content?.download.account
  const assembly = content?.download.assembly
  const download = Math.min(session.limits.download, host.downloadLimit)
  const upload = Math.min(session.limits.upload, host.uploadLimit)
  const candidates = sources.book.inspect(now)
  const metadataSources = metadata.exchange.sourceCount
  const why = whyStatus(session, metadataSources)
  const queuedWrites = assembly?.whole.size ?? 0
  const isWaiting = (account?.wish ?? 0) > 0
  return {
    name: metadata.name,
    infoHash: session.infoHash,
    status,
    why,
    notRequesting: whyNotRequesting({
      status,
      why,
      wanted: pieces.wanted,
      unchecked: pieces.unchecked,
      outstanding: requests,
      isSelected: content?.files.selection.isEmpty === false,
      isLimited: download === 0,
      peers,
      candidates: candidates.waiting + candidates.dialling,
      isMemoryShort: isWaiting,
      isStorageBehind: assembly?.whole.isBehind === true,
      queuedWrites
    }),
    requests,
    metadata: { known: metadata.known, sources: metadataSources },
    pieces,
    candidates,
    peers,
    streams: content === undefined ? [] : inspectStreams(content, now),
    memory: {
      limit: host.budget.limit,
      used: host.budget.used,
      own: account?.used ?? 0,
      waiting: isWaiting
    },
    storage: { queuedWrites, failure: state.error?.message ?? null },
    limits: { download: finite(download), upload: finite(upload) },
    trackers: sources.trackers.statuses.map(inspectTracker),
    dht: sources.dhtState
  }
}

/** Returns the reason for the status, as a sentence. */
function whyStatus({ status, metadata, state, data }: TorrentSession, metadataSources: number): string {
  switch (status) {
    case 'metadata': {
      if (metadata.known) return 'The storage is being opened.'
      const some =
        metadataSources === 1 ? '1 connected peer offers' : `${metadataSources} connected peers offer`
      return `The metadata is unknown; ${some} it.`
    }
    case 'checking':
      return 'Existing data is checked before anything is downloaded.'
    case 'downloading':
      return 'Something that is selected, or that an open stream reads, is missing.'
    case 'seeding':
      return data.content?.complete === true ? 'Every byte is stored.' : 'Everything selected is stored.'
    case 'idle':
      return 'Nothing is selected, and no open stream needs missing bytes.'
    case 'queued':
      return 'The torrent waits in the queue: maxActiveDownloads or maxActiveSeeds is reached.'
    case 'finished':
      return 'The torrent has reached its seedRatio or seedTime; resume() continues it.'
    case 'paused':
      return 'The torrent is paused; resume() continues it.'
    case 'error':
      return `The torrent has failed (${state.error?.message ?? ''}); resume() tries again.`
    case 'closed':
      return 'The torrent is closed.'
  }
}

function inspectPieces({ layout, table, download }: Content): PieceInspection {
  const { blocks, counts } = table
  const { pieceCount } = layout
  const { verifiedCount, storedCount, uncheckedCount, unprovenCount } = counts
  return {
    missing: pieceCount - verifiedCount - uncheckedCount,
    unchecked: uncheckedCount,
    verified: verifiedCount - storedCount,
    stored: storedCount - unprovenCount,
    unproven: unprovenCount,
    partial: blocks.size,
    wanted: download.picker.missing
  }
}

function inspectPeer(session: TorrentSession, peer: Peer, now: number): PeerInspection {
  const { address, client, incoming, source, progress, ...info } = session.peerInfo(peer, now)
  const { peerChoking, amChoking, peerInterested, amInterested, requests, downloadSpeed, uploadSpeed } = info
  const state = session.data.content?.download.picker.peer(peer.id)
  const oldest = state?.outstanding.at(0)
  return {
    address,
    client: client ?? null,
    incoming,
    source,
    progress,
    peerChoking,
    amChoking,
    peerInterested,
    amInterested,
    requests,
    oldestRequestMs: oldest === undefined ? null : Math.round(now - oldest.sentAt),
    depth: state?.depth ?? 0,
    downloadSpeed,
    uploadSpeed,
    snubbed: state?.snubbed === true,
    late: state?.rescued ?? 0,
    suspect: state?.suspect === true
  }
}

function inspectStreams({ files, layout, table, download }: Content, now: number): StreamInspection[] {
  const { windows } = download.picker
  return [...files.openStreams].map(([stream, { streamId }]) => {
    const window = windows.get(streamId)?.pieces
    let firstMissing: number | null = window?.start ?? null
    while (firstMissing !== null && table.isVerified(firstMissing)) {
      firstMissing++
      if (window === undefined || firstMissing >= window.end) firstMissing = null
    }
    const { file, position, readableLength: buffered } = stream
    const next = file.offset + Math.min(position + buffered, Math.max(0, file.length - 1))
    const piece = layout.pieceAt(next)
    const isHere = position + buffered >= file.length || table.isVerified(piece)
    return {
      file: file.path,
      position,
      buffered,
      window: window === undefined ? null : { start: window.start, end: window.end },
      firstMissing,
      deadlineMs:
        firstMissing === null ? null : Math.round(windows.deadline(streamId, firstMissing, now) - now),
      waitsFor: buffered > 0 ? 'consumer' : isHere ? 'nothing' : table.isUnchecked(piece) ? 'check' : 'piece'
    }
  })
}

function inspectTracker({ url, tier, status, error, nextAnnounceAt }: TrackerStatus): TrackerInspection {
  return {
    url: redactUrl(url),
    tier,
    status,
    error: error === undefined ? null : redactText(error.message),
    nextInMs: nextAnnounceAt === undefined ? null : Math.max(0, Math.round(nextAnnounceAt - Date.now()))
  }
}

/** Returns null for Infinity, which JSON cannot represent. */
function finite(limit: number): number | null {
  return Number.isFinite(limit) ? limit : null
}
