/** How a peer address became known. */
export type PeerSource = 'manual' | 'lsd' | 'tracker' | 'incoming' | 'magnet' | 'resume' | 'dht' | 'pex'

/** All sources, most trustworthy first; candidates are dialled in this order. */
export const peerSources: readonly PeerSource[] = [
  'manual',
  'lsd',
  'tracker',
  'incoming',
  'magnet',
  'resume',
  'dht',
  'pex'
]
