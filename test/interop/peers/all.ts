import { aria2 } from './aria2.ts'
import { libtorrent } from './libtorrent.ts'
import { qbittorrent } from './qbittorrent.ts'
import type { RealPeer } from './real-peer.ts'
import { transmission } from './transmission.ts'

/** Every program that both seeds and downloads. */
export const realPeers: readonly RealPeer[] = [libtorrent, transmission, aria2, qbittorrent]
