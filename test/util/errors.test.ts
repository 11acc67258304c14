import assert from 'node:assert/strict'
import test from 'node:test'
import { asError, errorCodes, systemCode, TorrentError } from '../../lib/util/errors.ts'

test('codes are ERR_FOLDER_WHAT with a sentence each', () => {
  const folders =
    'UTIL|BENCODE|HASH|METAINFO|WIRE|TRANSPORT|TRACKER|DHT|PICKER|STORAGE|DISCOVERY|STREAM|TORRENT|CLIENT|SERVER|CLI'
  for (const [code, sentence] of Object.entries(errorCodes)) {
    assert.match(code, new RegExp(`^ERR_(?:${folders})_[A-Z]+(?:_[A-Z]+)*$`))
    assert.match(sentence, /^\S.{8,}[^.]$/)
  }
})

test('an error carries code, cause and details', () => {
  const cause = new Error('below')
  const error = new TorrentError('ERR_STORAGE_READ', 'It failed', { cause, details: { path: '/x' } })
  assert.ok(error instanceof Error)
  assert.deepEqual([error.name, error.code, error.message], ['TorrentError', 'ERR_STORAGE_READ', 'It failed'])
  assert.equal(error.cause, cause)
  assert.deepEqual(error.details, { path: '/x' })
  assert.match(String(error.stack), /^TorrentError: It failed|^Error: It failed/)
})

test('an error without cause and details has neither', () => {
  const error = new TorrentError('ERR_CLI_USAGE', 'What?')
  assert.equal('cause' in error, false)
  assert.deepEqual(error.details, {})
})

test('asError keeps errors and wraps the rest', () => {
  const error = new RangeError('x')
  assert.equal(asError(error), error)
  assert.equal(asError('text').message, 'text')
  assert.equal(asError(undefined).message, 'undefined')
})

test('systemCode reads only textual codes of errors', () => {
  assert.equal(systemCode(Object.assign(new Error('x'), { code: 'ENOENT' })), 'ENOENT')
  assert.equal(systemCode(Object.assign(new Error('x'), { code: 5 })), undefined)
  assert.equal(systemCode(new Error('x')), undefined)
  assert.equal(systemCode({ code: 'ENOENT' }), undefined)
  assert.equal(systemCode(null), undefined)
})
