import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

/** Returns the lines of docs/api.md about an export. */
function sectionOf(name: string): string {
  const text = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8')
  const [, section = ''] = text.split(new RegExp(`^### ${name}$`, 'm'))
  return section.split(/^##/m)[0] ?? ''
}

for (const [name, members] of [
  ['DHT', ['constructor(', 'get ready()', 'peers(', 'announce(', 'close()', '[Symbol.asyncDispose]()']],
  ['Wire', ['setPieceCount(', 'get peerPieces()', 'get amChoking()', 'get peerId()']]
] as const) {
  test(`the reference has the own and the inherited members of ${name}, each once`, () => {
    const section = sectionOf(name)
    for (const member of members) {
      assert.equal(section.split(`\n- \`${member}`).length, 2, member)
    }
    assert.doesNotMatch(section, /^- `(?:private|protected)/m)
  })
}
