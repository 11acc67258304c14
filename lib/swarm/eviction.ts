import type { ConnectionBudget } from '../discovery/connection-budget.ts'
import { toEvict } from '../discovery/eviction.ts'
import { limits } from '../discovery/limits.ts'
import type { CountedConnection } from '../discovery/network-shares.ts'
import type { OwnAddress } from '../discovery/own-address.ts'
import type { PeerAddress } from '../util/address.ts'
import { networkKey } from '../util/ip-network.ts'
import { handshakeLength } from '../wire/messages.ts'
import type { Peer } from './peer.ts'

/** Inputs to the choice of the peer to evict. */
export interface EvictionOptions {
  readonly budget: Pick<ConnectionBudget, 'hasShare'>
  readonly own: Pick<OwnAddress, 'priority'>
}

/**
 * Returns the peer to evict for a newcomer with a higher priority (BEP 40), or undefined. Peers that sent nothing but their handshake
 * have the lowest priority. A newcomer whose network already has its share of all connections can only replace peers of that network;
 * otherwise a network with many addresses could replace all others, because one of its addresses always has a high priority.
 */
export function peerToEvict(
  peers: Iterable<Peer>,
  newcomer: PeerAddress,
  { budget, own }: EvictionOptions,
  now: number
): Peer | undefined {
  const network = budget.hasShare(newcomer.host) ? networkKey(newcomer.host) : undefined
  const evictable = []
  for (const peer of peers) {
    if (network !== undefined && networkKey(peer.connection.remote.host) !== network) continue
    evictable.push({
      peer,
      priority: peer.wire.received <= handshakeLength ? -1 : own.priority(peer.address),
      connectedAt: peer.connectedAt,
      isNeeded: peer.source === 'manual' || rateOf(peer, now) > 0
    })
  }
  return toEvict(evictable, own.priority(newcomer), now)?.peer
}

/** Describes the peer's connection to the connection budget, which may evict it for a connection to another network. */
export function countedConnection(peer: Peer, evict: () => void): CountedConnection {
  return {
    isNeeded: (now) => peer.source === 'manual' || rateOf(peer, now) >= limits.neededRate,
    evict
  }
}

/** Returns payload bytes per second, both directions together. */
function rateOf({ down, up }: Peer, now: number): number {
  return down.rate(now) + up.rate(now)
}
