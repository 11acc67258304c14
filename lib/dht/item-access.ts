import type { BencodeValue } from '../bencode/bencode-dict.ts'
import { decode } from '../bencode/decode.ts'
import { encode } from '../bencode/encode.ts'
import { isBytes } from '../util/bytes.ts'
import type { DhtNetworks } from './dht-networks.ts'
import { type DhtLookupOptions, type MutableName, type PutRequest, targetOf } from './dht-options.ts'
import { type Item, immutableTarget, mutableTarget, privateKeyOf, publicKeyOf, signItem } from './item.ts'
import { ItemFinder } from './item-finder.ts'
import type { KrpcValues } from './krpc.ts'
import type { AnsweredNode, LookupAnswer } from './lookup.ts'
import { addressKey } from './node-info.ts'
import { checkPut, checkRequest, nameTarget } from './put-request.ts'
import { walk, write } from './walk.ts'

/** A verified item (BEP 44). */
export interface DhtItem {
  /** Target under which it is stored, 20 bytes. */
  readonly target: Uint8Array
  /** The stored value. */
  readonly value: BencodeValue
  /** The bencoded value. */
  readonly encoded: Uint8Array
  /** Mutable items: public key of the signer, 32 bytes. */
  readonly publicKey?: Uint8Array
  /** Mutable items: the highest sequence number found. */
  readonly seq?: number
  /** Mutable items: the signature, 64 bytes. Anyone can keep the item alive by putting it again. */
  readonly signature?: Uint8Array
}

/** Outcome of a put. */
export interface PutResult {
  /** Target under which it is stored, 20 bytes. */
  readonly target: Uint8Array
  /** Number of nodes that stored the item. */
  readonly nodes: number
  /**
   * Error code of each node that refused the item (BEP 44), such as 301 (its version is not `cas`) or 302 (its version is newer). Empty
   * with `nodes` 0 if no node answered.
   */
  readonly refusals: readonly number[]
  /** Sequence number of a mutable item. */
  readonly seq?: number
}

/** Implements `DhtHandle.get`. */
export async function getItem(
  networks: DhtNetworks,
  name: Uint8Array | string | MutableName,
  { signal }: DhtLookupOptions
): Promise<DhtItem | undefined> {
  const mutable = typeof name === 'string' || isBytes(name) ? undefined : name
  const target = mutable === undefined ? targetOf('target', name as Uint8Array | string) : nameTarget(mutable)
  const finder = new ItemFinder(target, mutable?.salt ?? new Uint8Array())
  const stop = new AbortController()
  const onAbort = (): void => stop.abort(signal?.reason)
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  const onAnswer = (answer: LookupAnswer): void => {
    finder.add(answer)
    // The target is the hash of an immutable item, so no better one can follow.
    if (finder.best !== undefined && finder.best.mutable === undefined) stop.abort(finder)
  }
  try {
    await networks.each(
      (node) => walk(node, target, { method: 'get', args: { target }, onAnswer, signal: stop.signal }),
      stop.signal
    )
  } catch (error) {
    if (error !== finder) throw error
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
  if (finder.best === undefined) return undefined
  const { encoded, mutable: found } = finder.best
  const value = decode(encoded)
  if (found === undefined) return { target, value, encoded }
  const { publicKey, seq, signature } = found
  return { target, value, encoded, publicKey, seq, signature }
}

/** Implements `DhtHandle.put`. */
export async function putItem(
  networks: DhtNetworks,
  request: PutRequest,
  { signal }: DhtLookupOptions
): Promise<PutResult> {
  checkRequest(request)
  const { privateKey, salt = new Uint8Array(), cas } = request
  const encoded = encode(request.value)
  const key = privateKey === undefined ? undefined : privateKeyOf(privateKey)
  const publicKey = key === undefined ? request.publicKey : publicKeyOf(key)
  checkPut(request, encoded)
  const target = publicKey === undefined ? immutableTarget(encoded) : mutableTarget(publicKey, salt)
  const finder = new ItemFinder(target, salt)
  const onAnswer = (answer: LookupAnswer): void => finder.add(answer)
  const found = await networks.each(
    async (node) => ({
      node,
      answered: await walk(node, target, { method: 'get', args: { target }, onAnswer, signal })
    }),
    signal
  )
  let item: Item = { encoded }
  if (publicKey !== undefined) {
    const seq = request.seq ?? (finder.best?.mutable?.seq ?? 0) + 1
    const signature = request.signature ?? new Uint8Array()
    item = {
      encoded,
      mutable: key === undefined ? { publicKey, salt, seq, signature } : signItem(encoded, seq, salt, key)
    }
  }
  const { mutable } = item
  const args = (to: AnsweredNode): KrpcValues => ({
    v: decode(encoded),
    k: mutable?.publicKey,
    salt: mutable !== undefined && salt.length > 0 ? salt : undefined,
    seq: mutable?.seq,
    sig: mutable?.signature,
    cas: mutable !== undefined && finder.holders.has(addressKey(to)) ? cas : undefined
  })
  const refusals: number[] = []
  const onRefusal = (code: number): void => void refusals.push(code)
  const counts = await Promise.all(
    found.map(({ node, answered }) => write(node, answered, 'put', args, signal, onRefusal))
  )
  const nodes = counts.reduce((sum, count) => sum + count, 0)
  return mutable === undefined ? { target, nodes, refusals } : { target, nodes, refusals, seq: mutable.seq }
}
