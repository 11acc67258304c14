import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { Bench } from './bench.ts'

/** Returns the members of a class in the API report. */
function published(name: string): string[] {
  let folder = import.meta.dirname
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  const lines = readFileSync(path.join(folder, 'test/api/current.txt'), 'utf8').split('\n')
  const members = lines.flatMap((line) => {
    const [member = ''] = line.split(' ')
    return member.startsWith(`${name}.`) ? member.slice(name.length + 1) : []
  })
  return [...new Set(members)].filter((member) => member !== 'constructor').sort()
}

/** Returns the members of an object at run time, without those of EventEmitter and Object. */
function present(object: object): string[] {
  const keys = new Set<string | symbol>(Reflect.ownKeys(object))
  const prototype: object = Object.getPrototypeOf(object)
  for (const key of Reflect.ownKeys(prototype)) keys.add(key)
  // Fields that EventEmitter sets in each object.
  for (const key of ['_events', '_eventsCount', '_maxListeners', 'constructor']) keys.delete(key)
  const names = [...keys].map((key) =>
    key === Symbol.asyncDispose
      ? 'Symbol.asyncDispose'
      : typeof key === 'symbol'
        ? (key.description ?? '')
        : key
  )
  const wellKnown = ['kCapture', 'shapeMode', 'nodejs.util.inspect.custom']
  return names.filter((name) => !wellKnown.includes(name)).sort()
}

test('torrents, files and clients have no members besides the published ones', async (t) => {
  const bench = new Bench(t)
  const client = bench.client()
  const torrent = await client.add((await bench.sample({ 'film.mkv': 1000 })).bytes)
  assert.deepEqual(present(torrent), published('Torrent'))
  assert.deepEqual(present(torrent.files[0] ?? assert.fail()), published('TorrentFile'))
  assert.deepEqual(present(client), published('Client'))
})
