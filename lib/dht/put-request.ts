import { isBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import { type MutableName, optionError, type PutRequest } from './dht-options.ts'
import { mutableTarget, verifyItem } from './item.ts'
import { limits } from './limits.ts'

/**
 * Checks the name of a mutable item and returns its target.
 * @throws TorrentError ERR_DHT_OPTION.
 */
export function nameTarget(name: MutableName): Uint8Array {
  if (typeof name !== 'object' || name === null)
    throw optionError(`name: ${show(name)} is neither a target nor an object with publicKey`, { name })
  const { publicKey, salt } = name
  if (!isBytes(publicKey)) throw optionError(`publicKey: ${show(publicKey)} is not 32 bytes`, { publicKey })
  if (salt !== undefined && !isBytes(salt)) throw optionError(`salt: ${show(salt)} is not bytes`, { salt })
  if (publicKey.length !== 32)
    throw optionError(`publicKey: ${publicKey.length} bytes, not 32`, { publicKey })
  if (salt !== undefined && salt.length > limits.saltBytes)
    throw optionError(`salt: ${salt.length} bytes, more than ${limits.saltBytes}`, { salt })
  return mutableTarget(publicKey, salt)
}

/** Checks the types of a put request. @throws TorrentError ERR_DHT_ITEM. */
export function checkRequest(request: PutRequest): void {
  if (typeof request !== 'object' || request === null || !('value' in request))
    refuse(`${show(request)} is not an object with a value`)
  for (const name of ['publicKey', 'signature', 'salt'] as const) {
    const bytes: unknown = request[name]
    if (bytes !== undefined && !isBytes(bytes)) refuse(`${name}: ${show(bytes)} is not bytes`)
  }
}

function refuse(what: string): never {
  throw new TorrentError('ERR_DHT_ITEM', what)
}

/**
 * Checks that an item can be put; `encoded` is its bencoded value.
 * @throws TorrentError ERR_DHT_ITEM.
 */
export function checkPut(request: PutRequest, encoded: Uint8Array): void {
  const { privateKey, publicKey, signature, salt, seq, cas } = request
  if (encoded.length > limits.itemBytes)
    refuse(`value: ${encoded.length} bytes bencoded, more than ${limits.itemBytes}`)
  if (salt !== undefined && salt.length > limits.saltBytes)
    refuse(`salt: ${salt.length} bytes, more than ${limits.saltBytes}`)
  for (const [name, number] of Object.entries({ seq, cas })) {
    if (number !== undefined && !(Number.isSafeInteger(number) && number >= 0))
      refuse(`${name}: ${show(number)} is not 0 to 2^53 - 1`)
  }
  if (privateKey !== undefined) return
  if (publicKey === undefined) {
    if (salt !== undefined || seq !== undefined || cas !== undefined || signature !== undefined)
      refuse('salt, seq, cas and signature are for mutable items: add privateKey or publicKey')
    return
  }
  if (signature === undefined || seq === undefined) refuse('publicKey needs signature and seq as well')
  else if (!verifyItem(encoded, { publicKey, signature, seq, salt: salt ?? new Uint8Array() }))
    refuse('signature: does not match value, seq, salt and publicKey')
}
