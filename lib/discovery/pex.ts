import type { PeerAddress } from '../util/address.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { type PexMessage, type PexPeer, pexFlags } from '../wire/ut-pex.ts'
import { addressKey, hostKey, mayTell, scopeOf } from './address-scope.ts'

/** Minimum interval between two messages to a peer (BEP 11). */
const intervalMs = 60_000
/** Maximum peers added and dropped in one message (BEP 11); the first message may add more. */
const mostPeers = 50
const mostFirstPeers = 100
/** With fewer connections of a family than this, messages also name recently closed peers, up to this number (BEP 11). */
const fewPeers = 25
/** Peers accepted from the first message and from later ones: twice what we send, because clients differ. */
const heardFirst = 200
const heardLater = 100
/**
 * Burst of messages that are accepted, and the interval that earns another; BEP 11 allows one a minute, and
 * some clients send more.
 */
const heardMessages = 5
const heardEveryMs = 30_000
/** Excess messages after which a peer is flooding. */
const mostIgnored = 10

interface Contact {
  readonly key: string
  readonly address: PeerAddress
  readonly flags: () => number
  readonly family: 4 | 6
  readonly scope: ReturnType<typeof scopeOf>
}

interface Partner {
  readonly host: string
  /** Peers named to it and not yet dropped. */
  readonly told: Map<string, PeerAddress>
  nextAt: number
  isFirst: boolean
  /** Version of the contacts that it has been told in full. */
  version: number
  /** Sequence number of the last recently closed peer that was considered for it. */
  recent: number
  heardAny: boolean
  credit: number
  creditAt: number
  ignored: number
}

/**
 * Decides which peers to name to which peer and when, and which received addresses to accept (BEP 11). The
 * caller chooses the numeric peer ids. Pure: time is an argument.
 */
export class PexPolicy {
  readonly #contacts = new LazyMap<number, Contact>()
  readonly #partners = new LazyMap<number, Partner>()
  #recent: { readonly contact: Contact; readonly number: number }[] = []
  #recentNumber = 0
  #version = 0

  /** Adds a connected peer that supports PEX and may be sent messages. */
  join(id: number, host: string, now: number): void {
    if (this.#partners.has(id)) return
    this.#partners.set(id, {
      host,
      told: new Map(),
      nextAt: now,
      isFirst: true,
      version: -1,
      recent: 0,
      heardAny: false,
      credit: heardMessages,
      creditAt: now,
      ignored: 0
    })
  }

  /** Records the listen address of a connected peer; `flags` returns its current PEX flags. */
  contact(id: number, address: PeerAddress, flags: () => number): void {
    const key = addressKey(address)
    if (this.#contacts.get(id)?.key === key) return
    const scope = scopeOf(address.host)
    if (scope === 'name' || scope === 'unusable' || address.host.includes('%')) return
    const family = address.host.includes(':') ? 6 : 4
    this.#contacts.set(id, { key, address, flags, family, scope })
    this.#version++
  }

  /**
   * Removes a peer whose connection ended. With `isWelcome` it did nothing wrong, and may still be named as a
   * recent peer.
   */
  leave(id: number, isWelcome: boolean): void {
    this.#partners.delete(id)
    const contact = this.#contacts.get(id)
    if (contact === undefined) return
    this.#contacts.delete(id)
    this.#version++
    if (!isWelcome) return
    const { key, family } = contact
    const flags = contact.flags()
    this.#recent = this.#recent.filter((recent) => recent.contact.key !== key)
    this.#recent.push({ contact: { ...contact, flags: () => flags }, number: ++this.#recentNumber })
    const [oldest, ...others] = this.#recent.filter((recent) => recent.contact.family === family)
    if (others.length >= fewPeers) this.#recent = this.#recent.filter((recent) => recent !== oldest)
  }

  /** Returns the message to send to a peer now, and records it as sent; undefined if it is too early or nothing is new. */
  next(id: number, now: number): PexMessage | undefined {
    const partner = this.#partners.get(id)
    if (partner === undefined || now < partner.nextAt || partner.version === this.#version) return undefined
    const live = new Map<string, Contact>()
    const own = this.#contacts.get(id)
    for (const contact of this.#contacts.values())
      if (contact.key !== own?.key) live.set(contact.key, contact)
    const { told } = partner
    const dropped: PeerAddress[] = []
    let isWhole = true
    for (const [key, address] of told) {
      if (live.has(key)) continue
      if (dropped.length === mostPeers) {
        isWhole = false
        break
      }
      dropped.push(address)
    }
    const wanted = [...live.values()].filter(
      (contact) => !told.has(contact.key) && isFor(contact, partner, own)
    )
    const recent = this.#recentFor(partner, own).filter(({ key }) => !live.has(key) && !told.has(key))
    const most = partner.isFirst ? mostFirstPeers : mostPeers
    const added = [...wanted.sort(reachableFirst), ...recent].slice(0, most)
    if (wanted.length > most || added.some((contact) => !live.has(contact.key))) isWhole = false
    partner.version = isWhole ? this.#version : -1
    if (added.length + dropped.length === 0) return undefined
    for (const address of dropped) told.delete(addressKey(address))
    for (const { key, address } of added) told.set(key, address)
    partner.recent = this.#recentNumber
    partner.isFirst = false
    partner.nextAt = now + intervalMs
    return { added: added.map(({ address, flags }) => ({ address, flags: flags() })), dropped }
  }

  /**
   * Returns the peers of a received message that are worth adding. With `isComplete` we have the whole torrent, and
   * seeds are left out. Returns `'flood'` if the peer sends far more messages than allowed.
   */
  hear(id: number, { added }: PexMessage, now: number, isComplete: boolean): readonly PexPeer[] | 'flood' {
    const partner = this.#partners.get(id)
    if (partner === undefined) return []
    const credit = partner.credit + (now - partner.creditAt) / heardEveryMs
    partner.credit = Math.min(heardMessages, credit)
    partner.creditAt = now
    if (partner.credit < 1) return ++partner.ignored > mostIgnored ? 'flood' : []
    partner.credit--
    partner.ignored = Math.max(0, partner.ignored - 1)
    const most = partner.heardAny ? heardLater : heardFirst
    partner.heardAny = true
    const hosts = new Set<string>()
    const toldBy = scopeOf(partner.host)
    const peers: PexPeer[] = []
    for (const peer of added) {
      if (peers.length === most) break
      if (isComplete && (peer.flags & pexFlags.uploadOnly) !== 0) continue
      const scope = scopeOf(peer.address.host)
      if (!mayTell(toldBy, scope)) continue
      // Many ports of one host would aim our dials at that host, and forged addresses cost the sender
      // nothing. Loopback is exempt.
      const host = hostKey(peer.address.host)
      if (scope !== 'loopback' && hosts.has(host)) continue
      hosts.add(host)
      peers.push(peer)
    }
    return peers
  }

  /** Returns recently closed peers not yet named to this peer, for families with few connections. */
  #recentFor(partner: Partner, own: Contact | undefined): Contact[] {
    if (partner.recent === this.#recentNumber) return []
    const counts = { 4: 0, 6: 0 }
    for (const { family } of this.#contacts.values()) counts[family]++
    return this.#recent
      .filter(({ contact, number }) => {
        return number > partner.recent && counts[contact.family] < fewPeers && isFor(contact, partner, own)
      })
      .map(({ contact }) => contact)
  }
}

/** Returns whether one peer may be named to another: never a more local address, never a seed to a seed. */
function isFor({ key, flags, scope }: Contact, partner: Partner, own: Contact | undefined): boolean {
  if (key === own?.key || !mayTell(scopeOf(partner.host), scope)) return false
  return ((own?.flags() ?? 0) & pexFlags.uploadOnly) === 0 || (flags() & pexFlags.uploadOnly) === 0
}

function reachableFirst(a: Contact, b: Contact): number {
  return (b.flags() & pexFlags.reachable) - (a.flags() & pexFlags.reachable)
}
