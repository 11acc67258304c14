import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyPairs, keyLength, keyPairOf } from '../../../lib/transport/mse/key-pair.ts'
import { TorrentError } from '../../../lib/util/errors.ts'
import { publicA, publicB, secretA, secretB, shared } from './vectors.ts'

const prime = BigInt(
  '0xFFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563'
)

function bytesOf(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(192, '0'), 'hex')
}

test('keys and the shared secret are the known ones', () => {
  const [a, b] = [keyPairOf(secretA), keyPairOf(secretB)]
  assert.deepEqual(a.publicKey, publicA)
  assert.deepEqual(b.publicKey, publicB)
  assert.deepEqual(a.sharedWith(publicB), shared)
  assert.deepEqual(b.sharedWith(publicA), shared)
})

test('keys and secrets that begin with zeros have 96 bytes, and both sides agree', () => {
  const a = keyPairOf(secretA)
  let [zeroKeys, zeroSecrets] = [0, 0]
  for (let n = 1; zeroKeys === 0 || zeroSecrets === 0; n++) {
    const secret = Buffer.alloc(20)
    secret.writeUInt32BE(n, 0)
    const b = keyPairOf(secret)
    const secretOfBoth = b.sharedWith(a.publicKey)
    assert.equal(b.publicKey.length, keyLength)
    assert.equal(secretOfBoth.length, keyLength)
    if (b.publicKey[0] === 0) zeroKeys++
    if (secretOfBoth[0] === 0) zeroSecrets++
    if (b.publicKey[0] === 0 || secretOfBoth[0] === 0)
      assert.deepEqual(a.sharedWith(b.publicKey), secretOfBoth)
  }
})

test('public keys from 2 to P - 2 are accepted, and no others', () => {
  const pair = keyPairOf(secretA)
  for (const key of [2n, prime - 2n]) assert.equal(pair.sharedWith(bytesOf(key)).length, keyLength)
  for (const key of [0n, 1n, prime - 1n, prime, prime + 2n, 2n ** 768n - 1n]) {
    assert.throws(
      () => pair.sharedWith(bytesOf(key)),
      (error) => error instanceof TorrentError && error.code === 'ERR_WIRE_PROTOCOL'
    )
  }
})

test('each pair is used once, and later ones are made between turns', async () => {
  const pairs = new KeyPairs()
  const keys = new Set<string>()
  for (let n = 0; n < 10; n++) {
    keys.add(Buffer.from(pairs.take().publicKey).toString('hex'))
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(keys.size, 10)
})
