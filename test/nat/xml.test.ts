import assert from 'node:assert/strict'
import test from 'node:test'
import { parseXml } from '../../lib/nat/xml.ts'

const parse = (text: string): [string, number, string][] | undefined =>
  parseXml(Buffer.from(text))?.map(({ name, parent, text: inside }) => [name, parent, inside])

test('elements come in document order with their parents and texts', () => {
  assert.deepEqual(parse('<?xml version="1.0"?><!-- a > b --><A x="1>2"><s:B> t\n</s:B><c/>u</A>'), [
    ['a', -1, 'u'],
    ['b', 0, 't'],
    ['c', 0, '']
  ])
  assert.deepEqual(parse(''), [])
})

test('the five entities, characters by number and CDATA are decoded, and nothing else', () => {
  assert.deepEqual(parse('<a>&lt;&amp;&#65;&#x42;&x;&#x110000;<![CDATA[<&lt;]]></a>'), [
    ['a', -1, '<&AB&x;&#x110000;<&lt;']
  ])
})

test('wrong and missing end tags are forgiven', () => {
  assert.deepEqual(parse('<a><b>1</c></a></a><d>2</x>'), [
    ['a', -1, ''],
    ['b', 0, '1'],
    ['d', -1, '2']
  ])
})

test('document types, cut documents and those beyond the limits are refused', () => {
  for (const text of [
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a',
    '<a x="',
    '<!-- a',
    '<a><![CDATA[x</a>',
    '<a>'.repeat(33),
    `<a>${'<b/>'.repeat(2000)}</a>`,
    `<a>${'x'.repeat(65_536)}</a>`
  ])
    assert.equal(parse(text), undefined, text.slice(0, 20))
  assert.equal(parse('<a>'.repeat(32))?.length, 32)
})
