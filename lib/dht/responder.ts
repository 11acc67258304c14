import { decodeDetailed } from '../bencode/decode.ts'
import type { PeerAddress } from '../util/address.ts'
import { isBytes, toLatin1 } from '../util/bytes.ts'
import { AnswerRoom } from './answer-room.ts'
import type { Item } from './item.ts'
import { itemTarget } from './item.ts'
import type { ItemStore } from './item-store.ts'
import type { KrpcQuery, KrpcValues } from './krpc.ts'
import { limits } from './limits.ts'
import { idLength } from './node-id.ts'
import type { NodeInfo } from './node-info.ts'
import type { PeerStore } from './peer-store.ts'
import type { Tokens } from './token.ts'

/** The stores of the node for which a {@link Responder} answers. */
export interface ResponderHost {
  readonly family: 4 | 6
  readonly peers: PeerStore
  readonly items: ItemStore
  readonly tokens: Tokens
  /** Returns our nodes of a family closest to a target; empty without a table of that family. */
  closest(target: Uint8Array, family: 4 | 6): readonly NodeInfo[]
}

/** Values of a response besides our id, or an error code and message. */
export type Answer = { readonly values: KrpcValues } | { readonly code: number; readonly message: string }

const badArguments = { code: 203, message: 'invalid arguments' }
const badToken = { code: 203, message: 'bad token' }

/** Answers queries of other nodes: BEP 5, 32 (`want`), 33 (scrape), 44 (items) and 51 (samples). */
export class Responder {
  readonly #host: ResponderHost

  /** Creates a responder that answers from the stores of `host`. */
  constructor(host: ResponderHost) {
    this.#host = host
  }

  answer(query: KrpcQuery, from: PeerAddress): Answer {
    switch (query.method) {
      case 'ping':
        return { values: {} }
      case 'get_peers':
        return this.#getPeers(query, from)
      case 'announce_peer':
        return this.#announcePeer(query, from)
      case 'get':
        return this.#get(query, from)
      case 'put':
        return this.#put(query, from)
      case 'sample_infohashes':
        return this.#sample(query, from)
      default:
        return this.#findNode(query, from)
    }
  }

  #findNode(query: KrpcQuery, from: PeerAddress): Answer {
    const { method, args } = query
    // An unknown method with a target is answered like find_node, for forward compatibility.
    const target = idOf(args.bytes('target')) ?? idOf(args.bytes('info_hash'))
    if (target !== undefined) return { values: this.#nodes(args, target, new AnswerRoom(query, {}, from)) }
    return method === 'find_node' ? badArguments : { code: 204, message: 'method unknown' }
  }

  #getPeers(query: KrpcQuery, from: PeerAddress): Answer {
    const { args } = query
    const infoHash = idOf(args.bytes('info_hash'))
    if (infoHash === undefined) return badArguments
    const { peers, tokens, family } = this.#host
    const filters = args.integer('scrape') === 1 ? peers.filters(infoHash) : undefined
    const fixed = {
      token: tokens.create(from.host, infoHash),
      BFsd: filters?.seeds.bytes,
      BFpe: filters?.peers.bytes
    }
    const room = new AnswerRoom(query, fixed, from)
    const nodes = this.#nodes(args, infoHash, room)
    const count = Math.min(limits.answerPeers[family], room.peers(family))
    const values = peers.compact(infoHash, count, args.integer('noseed') === 1)
    return { values: { ...fixed, ...nodes, values: values.length > 0 ? values : undefined } }
  }

  #announcePeer({ args }: KrpcQuery, from: PeerAddress): Answer {
    const infoHash = idOf(args.bytes('info_hash'))
    const port = args.integer('implied_port') === 1 ? from.port : args.integer('port')
    if (infoHash === undefined || port === undefined || port < 1 || port > 65535) return badArguments
    const { peers, tokens } = this.#host
    if (!tokens.verify(args.bytes('token'), from.host, infoHash)) return badToken
    peers.add(infoHash, { host: from.host, port }, args.integer('seed') === 1)
    return { values: {} }
  }

  #get(query: KrpcQuery, from: PeerAddress): Answer {
    const { args } = query
    const target = idOf(args.bytes('target'))
    if (target === undefined) return badArguments
    const token = this.#host.tokens.create(from.host, target)
    const item = this.#itemFor(target, args.integer('seq'))
    const fixed = { token, ...item }
    // Nodes are always included: others may hold a newer version, and a writer needs all close nodes.
    const least = 'v' in item ? limits.nodesBesideItem : 0
    return { values: { ...fixed, ...this.#nodes(args, target, new AnswerRoom(query, fixed, from), least) } }
  }

  /** Returns our item at a target; only its sequence number if the querying node already has that version. */
  #itemFor(target: Uint8Array, known: number | undefined): KrpcValues {
    const item = this.#host.items.get(target)
    if (item === undefined) return {}
    const v = decodeDetailed(item.encoded, limits.decode).value
    if (item.mutable === undefined) return { v }
    const { publicKey, seq, signature } = item.mutable
    return known !== undefined && seq <= known ? { seq } : { k: publicKey, seq, sig: signature, v }
  }

  #put({ args }: KrpcQuery, from: PeerAddress): Answer {
    const item = itemOf(args)
    if (item === undefined) return badArguments
    if (!this.#host.tokens.verify(args.bytes('token'), from.host, itemTarget(item))) return badToken
    const refusal = this.#host.items.put(item, args.integer('cas'))
    return refusal === undefined ? { values: {} } : { code: refusal[0], message: refusal[1] }
  }

  #sample(query: KrpcQuery, from: PeerAddress): Answer {
    const target = idOf(query.args.bytes('target'))
    if (target === undefined) return badArguments
    const { samples, count, intervalSeconds } = this.#host.peers.sample()
    const fixed = { interval: intervalSeconds, num: count, samples }
    return { values: { ...fixed, ...this.#nodes(query.args, target, new AnswerRoom(query, fixed, from)) } }
  }

  /** Returns our nodes closest to the target, own family first. At least `least` of that family are included, whatever the size. */
  #nodes(
    args: KrpcQuery['args'],
    target: Uint8Array,
    room: AnswerRoom,
    least = 0
  ): { nodes?: Uint8Array | undefined; nodes6?: Uint8Array | undefined } {
    const list = (args.list('want') ?? []).slice(0, 4)
    const wanted = list.map((one) => (isBytes(one) ? toLatin1(one) : ''))
    const { family } = this.#host
    const of = (other: 4 | 6): Uint8Array | undefined => {
      if (!wanted.includes(`n${other}`) && !(wanted.length === 0 && other === family)) return undefined
      const nodes = this.#host.closest(target, other)
      return room.nodes(other === 4 ? 'nodes' : 'nodes6', nodes, other === family ? least : 0)
    }
    const own = of(family)
    const others = of(family === 4 ? 6 : 4)
    return family === 4 ? { nodes: own, nodes6: others } : { nodes: others, nodes6: own }
  }
}

function idOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes?.length === idLength ? bytes : undefined
}

/** Returns the item in the arguments of `put` or a response to `get`; undefined if there is none or it is not canonical. */
export function itemOf(args: KrpcQuery['args'], salt?: Uint8Array): Item | undefined {
  const encoded = args.span('v')
  if (encoded === undefined || decodeDetailed(encoded).irregularities.length > 0) return undefined
  const publicKey = args.bytes('k')
  if (publicKey === undefined) return { encoded }
  const seq = args.integer('seq')
  const signature = args.bytes('sig')
  if (seq === undefined || signature === undefined) return undefined
  return {
    encoded,
    mutable: { publicKey, salt: salt ?? args.bytes('salt') ?? new Uint8Array(), seq, signature }
  }
}
