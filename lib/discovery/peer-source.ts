/** How we learned of a peer. */
export type PeerSource = 'manual' | 'lsd' | 'tracker' | 'incoming' | 'magnet' | 'resume' | 'dht' | 'pex'

/** All sources, the most trustworthy first: in this order peers are dialled. */
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
