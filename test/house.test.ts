import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { findRoot } from './support/root.ts'

/** The folders of lib/ from left to right. Folders in one row never import each other. */
const rows: readonly (readonly string[])[] = [
  ['util'],
  ['bencode', 'hash', 'net'],
  ['metainfo', 'wire', 'transport', 'tracker', 'dht', 'nat'],
  ['pieces'],
  ['picker', 'storage', 'discovery'],
  ['stream', 'swarm'],
  ['torrent'],
  ['client'],
  ['server'],
  ['cli']
]
/** Folders built on the public API alone: they import the entry files in lib/, util/ and themselves. */
const outside = ['server', 'cli']

interface Source {
  /** Path below lib/, with `/`. */
  readonly file: string
  /** The folder of lib/, or '' for an entry file. */
  readonly folder: string
  readonly text: string
  /** Paths below lib/ of its imports. */
  readonly imports: readonly string[]
  /** Paths of the imports that are loaded together with it. */
  readonly loads: readonly string[]
  readonly packages: readonly string[]
}

const root = findRoot()

function pathsIn(file: string, specifiers: readonly string[]): string[] {
  return specifiers
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => path.posix.join(path.posix.dirname(file), specifier))
}

function readSource(file: string): Source {
  const text = readFileSync(path.join(root, 'lib', file), 'utf8')
  const specifiers = [
    ...text.matchAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'/gm),
    ...text.matchAll(/^import\s*'([^']+)'/gm),
    ...text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)
  ].map((match) => match[1] ?? '')
  return {
    file,
    folder: file.includes('/') ? (file.split('/')[0] ?? '') : '',
    text,
    imports: pathsIn(file, specifiers),
    loads: pathsIn(
      file,
      [...text.matchAll(/^(?:import|export)\b(?! type\b)[^'"`;]*?\bfrom\s*'([^']+)'/gm)].map(
        (match) => match[1] ?? ''
      )
    ),
    packages: specifiers.filter((specifier) => !specifier.startsWith('.'))
  }
}

const sources = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .sort()
  .map(readSource)

function rowOf(folder: string): number {
  return rows.findIndex((row) => row.includes(folder))
}

function folderOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '') : ''
}

function mayImport(from: string, to: string): boolean {
  // Entry files may import all, and only folders outside may import them.
  if (from === '' || from === to) return true
  if (outside.includes(from)) return to === '' || to === 'util'
  return to !== '' && rowOf(to) < rowOf(from)
}

test('the rules of the house report what they should', () => {
  assert.equal(mayImport('wire', 'util'), true)
  assert.equal(mayImport('wire', 'tracker'), false)
  assert.equal(mayImport('wire', 'torrent'), false)
  assert.equal(mayImport('torrent', ''), false)
  assert.equal(mayImport('server', 'torrent'), false)
  assert.equal(mayImport('cli', ''), true)
})

test('every folder of lib/ has its place in the row', () => {
  const unknown = new Set(
    sources.map(({ folder }) => folder).filter((folder) => folder !== '' && rowOf(folder) < 0)
  )
  assert.deepEqual([...unknown], [])
})

test('a file imports its own folder and folders to its left', () => {
  const wrong: string[] = []
  for (const { file, folder, imports } of sources) {
    for (const target of imports)
      if (!mayImport(folder, folderOf(target))) wrong.push(`${file} imports ${target}`)
  }
  assert.deepEqual(wrong, [])
})

test('imports name existing files of lib/', () => {
  const files = new Set(sources.map(({ file }) => file))
  const wrong = sources.flatMap(({ file, imports }) =>
    imports.filter((target) => !files.has(target)).map((target) => `${file} imports ${target}`)
  )
  assert.deepEqual(wrong, [])
})

test('packages are parts of Node or runtime dependencies', () => {
  const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const wrong = sources.flatMap(({ file, packages }) =>
    packages
      .filter((name) => !name.startsWith('node:') && !(name in dependencies))
      .map((name) => `${file} imports ${name}`)
  )
  assert.deepEqual(wrong, [])
})

test('no files import each other in a cycle', () => {
  const graph = new Map(sources.map(({ file, imports }) => [file, imports]))
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file)
    if (at >= 0) circles.push([...way.slice(at), file].join(' > '))
    if (at >= 0 || done.has(file)) return
    for (const target of graph.get(file) ?? []) visit(target, [...way, file])
    done.add(file)
  }
  for (const { file } of sources) visit(file, [])
  assert.deepEqual(circles, [])
})

test('importing the library loads nothing that most programs do not need at once', () => {
  const loaded = new Set<string>()
  const load = (file: string): void => {
    if (loaded.has(file)) return
    loaded.add(file)
    for (const target of sources.find((source) => source.file === file)?.loads ?? []) load(target)
  }
  load('index.ts')
  assert.ok(loaded.has('client/client.ts'))
  const needless =
    /^(?:server|cli)\/|^dht\/(?:dht-(?:engine|networks|node)|responder)|^client\/(?:session|restoration|folder-lock|make-torrent)|^net\/multicast|^nat\/|create-torrent/
  assert.deepEqual(
    [...loaded].filter((file) => needless.test(file)),
    []
  )
})

test('net/ is the only way out, and server/ and cli/ may listen', () => {
  const network = /^node:(?:net|dgram|dns|http|https|http2|tls)(?:\/|$)/
  const wrong = sources
    .filter(({ folder }) => folder !== 'net')
    .flatMap(({ file, folder, text }) => {
      const values = [
        // Type-only imports load nothing.
        ...text.matchAll(/^(?:import|export)\b(?! type\b)[^'"`;]*?\bfrom\s*'([^']+)'/gm),
        ...text.matchAll(/(?:^import\s*|\bimport\(\s*|\brequire\(\s*|\bgetBuiltinModule\(\s*)'([^']+)'/gm)
      ].map((match) => match[1] ?? '')
      const mayListen = outside.includes(folder)
      const names = mayListen ? [] : values.filter((name) => network.test(name))
      const request = mayListen ? '|(?:https?|net|tls)\\.(?:request|get|connect|createConnection)\\(' : ''
      const call = new RegExp(`(?<![\\w.#])(?:fetch\\(|new (?:WebSocket|EventSource)\\(${request})`, 'g')
      const calls = [...text.matchAll(call)].map(String)
      return [...names, ...calls].map((name) => `${file} uses ${name}`)
    })
  assert.deepEqual(wrong, [])
})

test('only metainfo/ parses, prints and makes info hashes', () => {
  const wrong = sources
    .filter(({ folder }) => folder !== 'metainfo')
    .flatMap(({ file, text }) =>
      [...text.matchAll(/\?\? new Uint8Array\(20\)|\{40\}|\btoHex\((?:\w+\.)*infoHash\w*\)/g)].map(
        ([found]) => `${file} has ${found}`
      )
    )
  // The keys of the DHT's store are targets of any kind, and dht/ is beside metainfo/.
  assert.deepEqual(
    wrong.filter((one) => !one.startsWith('dht/')),
    []
  )
})

test("only util/make-folder makes folders, because Node's own function may never return", () => {
  const wrong = sources.filter(
    ({ file, text }) =>
      file !== 'util/make-folder.ts' && /^import [^']*\b(?:mkdir|mkdirSync)\b[^']*'node:fs/m.test(text)
  )
  assert.deepEqual(
    wrong.map(({ file }) => file),
    []
  )
})

test('values of other realms are recognized by their properties, and not by instanceof', () => {
  const wrong = sources.filter(
    ({ file, text }) =>
      file !== 'util/errors.ts' &&
      /\binstanceof (?:\w*Error(?<!TorrentError|HttpError)|Uint8Array|ArrayBuffer|Map|Set|Date|Promise|URL|AbortSignal|Blob|Buffer)\b/.test(
        text
      )
  )
  assert.deepEqual(
    wrong.map(({ file }) => file),
    []
  )
})

test('events of public emitters go through util/user-code, and only the program listens to them', () => {
  // The first three override emit by it; the last is no public emitter.
  const own = ['util/user-code.ts', 'wire/wire.ts', 'server/torrent-server.ts', 'net/lenient-connection.ts']
  const emits = sources.filter(
    ({ file, text }) => !own.includes(file) && /\b(?:this|torrent|client|stream)\.emit\(/.test(text)
  )
  const listens = sources.filter(
    ({ folder, text }) =>
      ['torrent', 'client', 'stream', 'server'].includes(folder) &&
      /\b(?:torrent|client|stream)\.(?:on|once)\(/.test(text)
  )
  assert.deepEqual(
    [...emits, ...listens].map(({ file }) => file),
    []
  )
})

test('files have kebab-case names, and no folder has an index', () => {
  const wrong = sources
    .map(({ file }) => file)
    .filter(
      (file) =>
        !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/.test(file) ||
        /\/index\.ts$/.test(file)
    )
  assert.deepEqual(wrong, [])
})

test('no file of lib/ has more than 400 lines', () => {
  const long = sources.filter(({ text }) => text.split('\n').length > 401)
  assert.deepEqual(
    long.map(({ file }) => file),
    []
  )
})

test('there is no default export', () => {
  const wrong = sources.filter(({ text }) => /^export\s+default\b|\bas\s+default\b/m.test(text))
  assert.deepEqual(
    wrong.map(({ file }) => file),
    []
  )
})

// ---- words ----

/** Files with comments, relative to the root. */
function commentedFiles(): string[] {
  const folders = ['lib', 'test', 'bench', 'examples', 'scripts']
  return folders.flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true })
      .map((file) => `${folder}/${String(file).replaceAll('\\', '/')}`)
      .filter((file) => /\.(?:ts|mjs)$/.test(file) && !file.includes('/fixtures/'))
  )
}

/** The comments of a source as plain text, one line each. */
function commentsOf(text: string): string[] {
  return [...text.matchAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g)].map(([comment]) =>
    comment
      .replace(/^\s*(?:\/\*\*?|\*\/|\*|\/\/)\s?/gm, '')
      .replace(/\*\/$/, '')
      .replace(/\s+/g, ' ')
      .trim()
  )
}

/** Sentences that STYLE asks to begin with their subject. */
const badStart = /^(?:Who|Whoever|Whom|What|Of|Those|Has)\b/
/** Older words for terms of docs/glossary.md. */
const retiredPhrases =
  /\b(?:strangers?|somebody|nobody|whoever|tak(?:e|es|en|ing) back|gives? way|informants?|greeter)\b/i

test('comments begin with their subject and use the words of the glossary', () => {
  const wrong = commentedFiles().flatMap((file) =>
    commentsOf(readFileSync(path.join(root, file), 'utf8')).flatMap((comment) =>
      comment
        .split(/(?<=[.:]) /)
        .filter((sentence) => badStart.test(sentence) || retiredPhrases.test(sentence))
        .map((sentence) => `${file}: ${sentence.slice(0, 100)}`)
    )
  )
  assert.deepEqual(wrong, [])
})

test('no name of lib/ uses an older word for a term of the glossary', () => {
  const retired =
    /\b\w*(?:[Ss]tranger|[Ss]omebody|[Gg]reeter|[Pp]articipation|[Ii]nformant|[Ll]edger|[Kk]eeper|takeBack|takenBack|[Ss]helf|[Ii]ntake)\w*\b/g
  const wrong = sources.flatMap(({ file, text }) => {
    const code = text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g, '')
    return [...new Set(code.match(retired))].map((name) => `${file}: ${name}`)
  })
  assert.deepEqual(wrong, [])
})
