import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseCommandLine } from '../../lib/cli/command-line.ts'
import { run as runHere } from '../../lib/cli/run.ts'
import { clientOptions, readClientOptions } from '../../lib/cli/shared-options.ts'
import { version } from '../../lib/util/version.ts'
import { encodeBase32 } from '../client/base32.ts'
import { paddedSample } from '../torrent/padded.ts'
import { runCommand, temporaryFolder } from './run-command.ts'

const magnet = `magnet:?xt=urn:btih:${'ab'.repeat(20)}`

/** Runs a command line in this process, and captures its output. */
async function words(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const caught = { stdout: '', stderr: '' }
  const { stdout, stderr } = process
  const catching = (name: 'stdout' | 'stderr'): object =>
    Object.create(process[name], {
      write: {
        value: (text: string) => {
          caught[name] += text
          return true
        }
      }
    })
  const before = process.listeners('uncaughtException')
  const counts = [stdout.listenerCount('error'), stderr.listenerCount('error')]
  Object.defineProperty(process, 'stdout', { value: catching('stdout'), configurable: true })
  Object.defineProperty(process, 'stderr', { value: catching('stderr'), configurable: true })
  try {
    return {
      code: await runHere(args),
      ...caught,
      get stdout() {
        return caught.stdout
      },
      get stderr() {
        return caught.stderr
      }
    }
  } finally {
    Object.defineProperty(process, 'stdout', { value: stdout, configurable: true })
    Object.defineProperty(process, 'stderr', { value: stderr, configurable: true })
    for (const listener of process.listeners('uncaughtException')) {
      if (!before.includes(listener)) process.off('uncaughtException', listener)
    }
    for (const [n, stream] of [stdout, stderr].entries()) {
      for (const listener of stream.listeners('error').slice(counts[n] ?? 0))
        stream.off('error', listener as () => void)
    }
  }
}

test('usage errors are one sentence, with code 2', async () => {
  const table: readonly (readonly [args: string, says: RegExp])[] = [
    ['', /name a command/],
    ['dwonload', /'dwonload' is not a command; did you mean download/],
    ['file.torrent', /'file.torrent' is not a command/],
    ['download', /name a source/],
    ['download a b', /'b' is one too many/],
    ['download a -- b', /'b' is one argument too many/],
    ['download a --prot 1', /'--prot' is not an option of 'download'; did you mean --port/],
    ['download a -x', /'-x' is not an option/],
    ['download a --constructor', /'--constructor' is not an option/],
    ['download a --port', /--port needs a value/],
    ['download a --port --json', /--port needs a value.*--port=--json/],
    ['download a --port=', /--port needs a value/],
    ['download a --port 65536', /--port '65536' is not a port/],
    ['download a --port 1 --port 2', /--port is given twice/],
    ['download a --json=yes', /--json takes no value/],
    ['download a --host localhost', /--host 'localhost' is not an IP address/],
    ['download a --peer 1.2.3.4', /--peer '1.2.3.4' is not an address/],
    ['download a --peer 1.2.3.4:0', /--peer '1.2.3.4:0' is not an address/],
    [
      'download a --tracker example.org',
      /--tracker 'example.org' is not a usable URL: it must begin with http:\/\/, https:\/\/ or udp:\/\/$/m
    ],
    ['download a --tracker http://', /--tracker 'http:..' is not a valid URL: check its host and port$/m],
    ['download a --tracker http://a:65536', /--tracker 'http:..a:65536' is not a valid URL/],
    ['download a --tracker ftp://example.org', /--tracker 'ftp:..example.org' is not a usable URL/],
    ['download a --upload-limit fast', /--upload-limit 'fast' is not an amount/],
    ['download a --ratio 2', /--ratio needs --seed/],
    ['download a --seed --ratio 0', /--ratio '0' is not a ratio/],
    ['stream a --stdout --play mpv', /exclude each other/],
    ['stream a --stdout --http-port 80', /exclude each other/],
    ['stream a --stdout --json', /exclude each other/],
    ['stream a --play mpv -- vlc', /either with --play or after --/],
    ['seed', /name the files/],
    ['seed a --piece-length 1000', /--piece-length '1000' must be a power of two/],
    ['create a', /--out/],
    ['create a --out a', /is one of the shared files/],
    ['seed a --out a', /is one of the shared files/],
    ['create a --out b --web-seed udp://x', /--web-seed/],
    ['info', /name a source/]
  ]
  for (const [line, says] of table) {
    const { code, stdout, stderr } = await words(line === '' ? [] : line.split(' '))
    assert.equal(code, 2, `${line}: ${stderr}`)
    assert.match(stderr, says, line)
    assert.match(stderr, /^piecewise: [^\n]+\n$/, line)
    if (!line.includes('--json')) assert.equal(stdout, '', line)
  }
})

test('help names every option, and help and version go to standard output', async () => {
  const program = await words(['--help'])
  assert.equal(program.code, 0)
  for (const name of ['download', 'stream', 'seed', 'create', 'info']) {
    assert.match(program.stdout, new RegExp(`^  ${name} `, 'm'))
    for (const args of [
      [name, '--help'],
      [name, 'x', '-h'],
      ['help', name]
    ]) {
      const { code, stdout, stderr } = await words(args)
      assert.deepEqual([code, stderr], [0, ''])
      assert.match(stdout, new RegExp(`^Usage: piecewise ${name} `, 'm'))
      assert.match(stdout, /--verbose/)
    }
  }
  assert.equal((await words(['--version'])).stdout, `${version}\n`)
})

test('info shows the parameters of a magnet link', async () => {
  const { code, stdout } = await words([
    'info',
    `${magnet}&dn=a%1B%5B2Jb&so=1-2&tr=udp://t.example:1&x.pe=10.0.0.1:5`,
    '--json'
  ])
  assert.equal(code, 0)
  const facts = JSON.parse(stdout)
  assert.equal(facts.infoHash, 'ab'.repeat(20))
  assert.equal(facts.name, 'a\x1b[2Jb')
  assert.deepEqual(facts.trackers, [['udp://t.example:1']])
  assert.deepEqual(facts.select, [{ first: 1, last: 2 }])
  assert.deepEqual(facts.peers, ['10.0.0.1:5'])
  const text = (await words(['info', `${magnet}&dn=a%1B%5B2Jb`])).stdout
  assert.match(text, /^Name +ab$/m)
  const hash = Buffer.from('ab'.repeat(20), 'hex')
  for (const text of [
    'ab'.repeat(20),
    'AB'.repeat(20),
    encodeBase32(hash),
    ` ${encodeBase32(hash).toLowerCase()}\n`
  ]) {
    assert.match((await words(['info', text])).stdout, /^Info hash +(?:ab){20}$/m, text)
  }
})

test('info does not count padding', async (t) => {
  const file = path.join(temporaryFolder(t), 'padded.torrent')
  writeFileSync(file, paddedSample([['a', 100], 16284, ['b', 5]], 16384).bytes)
  assert.equal(JSON.parse((await words(['info', file, '--json'])).stdout).length, 105)
  assert.match((await words(['info', file])).stdout, /^Size .*\(105 bytes\)$/m)
})

test('create makes the torrent that info shows', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(path.join(folder, 'a.txt'), 'hello')
  const out = path.join(folder, 'a.torrent')
  const made = await words([
    'create',
    path.join(folder, 'a.txt'),
    '--out',
    out,
    '--tracker',
    'http://t.example/a',
    '--private',
    '--comment',
    'c'
  ])
  assert.equal(made.code, 0, made.stderr)
  const [link] = /magnet:\S+/.exec(made.stdout) ?? []
  const facts = JSON.parse((await words(['info', out, '--json'])).stdout)
  assert.equal(facts.infoHash, /btih:(\w+)/.exec(link ?? '')?.[1])
  assert.deepEqual(facts.files, [{ index: 0, path: 'a.txt', length: 5 }])
  assert.deepEqual([facts.private, facts.comment, facts.trackers], [true, 'c', [['http://t.example/a']]])
  const text = (await words(['info', out])).stdout
  assert.equal((await words(['info', pathToFileURL(out).href])).stdout, text)
  for (const line of [/^Size +5 B/m, /^Private +yes/m, /^Tracker +http/m, /^ {2}0 .*a\.txt$/m])
    assert.match(text, line)
})

test('an unreadable source is one sentence with code 1, and a trace with --verbose', async (t) => {
  const folder = temporaryFolder(t)
  const garbage = path.join(folder, 'garbage.torrent')
  writeFileSync(garbage, 'this is no torrent')
  for (const args of [
    ['info', garbage],
    ['info', path.join(folder, 'absent')],
    ['download', garbage, '--host', '127.0.0.1', '--port', '0', '--dir', folder],
    ['info', 'magnet:?dn=nothing'],
    ['info', 'http://127.0.0.1:9/x.torrent'],
    ['create', path.join(folder, 'absent'), '--out', path.join(folder, 'x')],
    ['create', garbage, '--out', path.join(folder, 'no', 'folder', 'x')]
  ]) {
    const { code, stderr } = await words(args)
    assert.equal(code, 1, stderr)
    assert.match(stderr, /^piecewise: [^\n]+\n$/)
  }
  assert.match((await words(['info', garbage, '--verbose'])).stderr, /^ +at /m)
})

test('the compiled command runs by itself, and a reader that closes early is no error', async (t) => {
  const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))
  assert.match(readFileSync(main, 'utf8'), /^#!\/usr\/bin\/env node\n/)
  const folder = temporaryFolder(t)
  const { code, stdout } = await runCommand(t, folder, ['--version'])
  assert.deepEqual([code, stdout], [0, `${version}\n`])
  assert.equal((await runCommand(t, folder, ['download', 'x', '--nope'])).code, 2)
})

test('each source of peers can be switched off', () => {
  const ways = (...args: string[]): unknown[] => {
    const { dht, pex, lsd } = readClientOptions(parseCommandLine('download', clientOptions, args))
    return [dht, pex, lsd]
  }
  assert.deepEqual(ways(), [true, true, true])
  assert.deepEqual(ways('--no-dht'), [false, true, true])
  assert.deepEqual(ways('--no-pex'), [true, false, true])
  assert.deepEqual(ways('--no-lsd'), [true, true, false])
})

test('the mode of encryption is passed on, and others are refused', () => {
  const mode = (...args: string[]): unknown =>
    readClientOptions(parseCommandLine('download', clientOptions, args)).encryption
  assert.equal(mode(), undefined)
  assert.equal(mode('--encryption', 'off'), false)
  for (const name of ['allow', 'prefer', 'require']) assert.equal(mode('--encryption', name), name)
  assert.throws(() => mode('--encryption', 'always'), { code: 'ERR_CLI_USAGE', message: /always/ })
})
