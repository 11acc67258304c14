import type { PeerAddress } from '../util/address.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { type PexMessage, type PexPeer, pexFlags } from '../wire/ut-pex.ts'
import { addressKey, hostKey, mayTell, scopeOf } from './address-scope.ts'

/** A peer hears of others at most this often after the first time (BEP 11). */
const intervalMs = 60_000
/** The most peers that a message names in each direction (BEP 11), and the first one, which may hold more. */
const mostPeers = 50
const mostFirstPeers = 100
/** With fewer connections of a family than this, peers that had to leave lately are told of too, up to as many (BEP 11). */
const fewPeers = 25
/** What a peer may tell: peers in its first message and in later ones; twice what we would, as clients differ. */
const heardFirst = 200
const heardLater = 100
/** Messages in a row that are listened to, and then one for each span; BEP 11 allows one a minute, and some clients hurry. */
const heardMessages = 5
const heardEveryMs = 30_000
/** So many messages too many are a flood. */
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
  /** What it was told of and not yet that it is gone. */
  readonly told: Map<string, PeerAddress>
  nextAt: number
  isFirst: boolean
  /** The version of the contacts that it knows all of. */
  version: number
  /** The last of the recent peers that it was told of. */
  recent: number
  heardAny: boolean
  credit: number
  creditAt: number
  ignored: number
}

/**
 * Who is told of which peers and when, and what of that which peers tell is believed (BEP 11). Peers are numbered by who uses it.
 * Pure: time is an argument.
 */
export class PexPolicy {
  readonly #contacts = new LazyMap<number, Contact>()
  readonly #partners = new LazyMap<number, Partner>()
  #recent: { readonly contact: Contact; readonly number: number }[] = []
  #recentNumber = 0
  #version = 0

  /** A connected peer speaks the extension; it may be told from now on. */
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

  /** A connected peer is known to listen at this address; `flags` is asked for what it is just then. */
  contact(id: number, address: PeerAddress, flags: () => number): void {
    const key = addressKey(address)
    if (this.#contacts.get(id)?.key === key) return
    const scope = scopeOf(address.host)
    if (scope === 'name' || scope === 'unusable' || address.host.includes('%')) return
    const family = address.host.includes(':') ? 6 : 4
    this.#contacts.set(id, { key, address, flags, family, scope })
    this.#version++
  }

  /** The connection has ended: for no fault of that peer's if `isWelcome`, so that others may still like to hear of it. */
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

  /** What to tell a peer now, which counts as told, or undefined: it is too early, or there is nothing new. */
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
    const passing = this.#passing(partner, own).filter(({ key }) => !live.has(key) && !told.has(key))
    const most = partner.isFirst ? mostFirstPeers : mostPeers
    const added = [...wanted.sort(reachableFirst), ...passing].slice(0, most)
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
   * The peers to believe in of a message that came; `isComplete` when we want no seeds. `'flood'` when that peer sends far more than
   * anybody may.
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
      // Many ports of one host are an attack on that host, and many addresses cost it nothing, unless it is this machine.
      const host = hostKey(peer.address.host)
      if (scope !== 'loopback' && hosts.has(host)) continue
      hosts.add(host)
      peers.push(peer)
    }
    return peers
  }

  /** Recent peers that this one was not told of, as far as its lists are short without them. */
  #passing(partner: Partner, own: Contact | undefined): Contact[] {
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

/** Whether a peer may be told of another: it is none that only we can reach, and not a seed to a seed. */
function isFor({ key, flags, scope }: Contact, partner: Partner, own: Contact | undefined): boolean {
  if (key === own?.key || !mayTell(scopeOf(partner.host), scope)) return false
  return ((own?.flags() ?? 0) & pexFlags.uploadOnly) === 0 || (flags() & pexFlags.uploadOnly) === 0
}

function reachableFirst(a: Contact, b: Contact): number {
  return (b.flags() & pexFlags.reachable) - (a.flags() & pexFlags.reachable)
}
