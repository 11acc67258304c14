import type { ConnectionBudget } from '../discovery/connection-budget.ts'
import { toEvict } from '../discovery/eviction.ts'
import { limits } from '../discovery/limits.ts'
import type { Seat } from '../discovery/network-seats.ts'
import type { OwnAddress } from '../discovery/own-address.ts'
import type { PeerAddress } from '../util/address.ts'
import { networkKey } from '../util/ip-network.ts'
import { handshakeLength } from '../wire/messages.ts'
import type { Peer } from './peer.ts'

/** Facts that decide which peer is evicted. */
export interface EvictionOptions {
  readonly budget: Pick<ConnectionBudget, 'hasShare'>
  readonly own: Pick<OwnAddress, 'priority'>
}

/**
 * The peer that leaves for a newcomer that counts more (BEP 40), if there is one; peers that have said nothing but their handshake
 * count least. A newcomer whose network has its share of all connections replaces peers of that network alone: among many addresses
 * one counts more than any other.
 */
export function peerToEvict(
  peers: Iterable<Peer>,
  newcomer: PeerAddress,
  { budget, own }: EvictionOptions,
  now: number
): Peer | undefined {
  const network = budget.hasShare(newcomer.host) ? networkKey(newcomer.host) : undefined
  const seated = []
  for (const peer of peers) {
    if (network !== undefined && networkKey(peer.connection.remote.host) !== network) continue
    seated.push({
      peer,
      priority: peer.wire.received <= handshakeLength ? -1 : own.priority(peer.address),
      connectedAt: peer.connectedAt,
      isNeeded: peer.source === 'manual' || rateOf(peer, now) > 0
    })
  }
  return toEvict(seated, own.priority(newcomer), now)?.peer
}

/** A peer as a connection that may have to make room for other networks. */
export function seatOf(peer: Peer, evict: () => void): Seat {
  return {
    isNeeded: (now) => peer.source === 'manual' || rateOf(peer, now) >= limits.neededRate,
    evict
  }
}

/** Payload bytes per second, both ways. */
function rateOf({ down, up }: Peer, now: number): number {
  return down.rate(now) + up.rate(now)
}
