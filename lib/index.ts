export type { SeedOptions } from './client/add-options.ts'
export { Client, type ClientEvents, type ClientSnapshot } from './client/client.ts'
export type { ClientOptions } from './client/options.ts'
export { type ReadSourceOptions, readSource, type TorrentSource } from './client/read-source.ts'
export type { SeedData } from './client/seed-data.ts'
export {
  type VerifiedFile,
  type VerifyFilesOptions,
  type VerifyProgress,
  type VerifyResult,
  verifyFiles
} from './client/verify-files.ts'
export type { CandidateInspection, WaitingCandidate } from './discovery/candidate-inspection.ts'
export type { PeerSource } from './discovery/peer-source.ts'
export type { InfoHashes } from './metainfo/info-hashes.ts'
export type { Range } from './metainfo/layout.ts'
export { Layout } from './metainfo/layout.ts'
export type { Magnet } from './metainfo/magnet.ts'
export type { FileEntry, Metainfo } from './metainfo/metainfo.ts'
export type { NatStatus } from './nat/nat-status.ts'
export type { NatProtocol, NatTransport } from './nat/router.ts'
export type { ConnectionEncryption, TransportName } from './net/connection.ts'
export type { ProxyOptions } from './net/proxy-server.ts'
export type { PieceCell, PieceInfo } from './pieces/piece-map.ts'
export { FileStorage } from './storage/file-storage.ts'
export type { FileStorageOptions } from './storage/file-storage-options.ts'
export { MemoryStorage } from './storage/memory-storage.ts'
export type { Storage } from './storage/storage.ts'
export type { StreamedFile } from './stream/byte-source.ts'
export { FileStream, type FileStreamOptions } from './stream/file-stream.ts'
export type { PeerInfo } from './swarm/peer.ts'
export type { TorrentStatus } from './torrent/run-state.ts'
export type { TorrentSnapshot } from './torrent/snapshots.ts'
export type { Torrent, TorrentEvents } from './torrent/torrent.ts'
export type { TorrentFile, TorrentFileSnapshot } from './torrent/torrent-file.ts'
export type {
  MemoryInspection,
  MetadataInspection,
  PeerInspection,
  PieceInspection,
  StorageInspection,
  StreamInspection,
  TorrentInspection,
  TrackerInspection
} from './torrent/torrent-inspection.ts'
export type { AddOptions, SelectItem, SelectTarget } from './torrent/torrent-options.ts'
export type { TrackerStatus } from './tracker/tracker-state.ts'
export type { Encryption } from './transport/mse/encryption.ts'
export type { PeerAddress } from './util/address.ts'
export { type ErrorCode, errorCodes, TorrentError } from './util/errors.ts'
export type { Trust } from './util/trust.ts'
