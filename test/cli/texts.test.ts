import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseFile, chooseFiles } from '../../lib/cli/file-choice.ts'
import { formatBytes, formatDuration, formatPercent } from '../../lib/cli/format.ts'
import { matchesGlob } from '../../lib/cli/glob.ts'
import { Output, type OutputStream } from '../../lib/cli/output.ts'
import { splitCommand, withUrl } from '../../lib/cli/player.ts'
import { printable, printableJson } from '../../lib/cli/printable.ts'
import { type Status, statusLine, statusText } from '../../lib/cli/status-line.ts'
import { readBytes } from '../../lib/cli/values.ts'
import { nearest } from '../../lib/util/nearest.ts'
import { stateFolder } from '../../lib/util/state-folder.ts'

test('untrusted texts become one line without terminal commands', () => {
  for (const [text, expected] of [
    ['plain näme 日本.mkv', 'plain näme 日本.mkv'],
    ['\x1b[2J\x1b[31mred\x1b[0m', 'red'],
    ['a\x1b]0;title\x07b', 'ab'],
    ['a\x1b]8;;http://x\x1b\\link', 'alink'],
    ['\x9b31mc1', 'c1'],
    ['one\r\ntwo\n three', 'one two three'],
    ['bell\x07 back\b tab\t nul\0', 'bell back tab nul'],
    ['abc\u202egnp.exe', 'abcgnp.exe'],
    ['\x1bc reset', 'c reset']
  ] as const) {
    assert.equal(printable(text), expected, JSON.stringify(text))
  }
})

test('the number of spaces is kept, and white space around newlines becomes one', () => {
  const spaces = ' '.repeat(64_000)
  assert.equal(printable(`a${spaces}b`), `a${spaces}b`)
  assert.equal(printable(`a${spaces}\r\n${spaces}\n b`), 'a b')
})

test('JSON hides no terminal command, and parses to the same', () => {
  const value = { name: 'a\x1b[2J\x9b31m\u202e\x7f\n"ü"' }
  const text = printableJson(value)
  assert.match(text, /^[\x20-\x7eü]+$/)
  assert.deepEqual(JSON.parse(text), value)
})

test('human-readable amounts, times and fractions', () => {
  const amounts = [0, 1023, 1024, 1536, 1024 ** 2 * 99.94, 1024 ** 2 * 100, 1024 ** 3 - 1, 3.2e12]
  assert.deepEqual(amounts.map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '99.9 MiB',
    '100 MiB',
    '1.0 GiB',
    '2.9 TiB'
  ])
  const times = [0, 7000, 59_001, 3_600_000, 200_000_000, Number.POSITIVE_INFINITY]
  assert.deepEqual(times.map(formatDuration), ['0:00', '0:07', '1:00', '1:00:00', '2 d 7 h', '-'])
  assert.deepEqual([0, 0.9999, 1].map(formatPercent), ['0.0%', '99.9%', '100%'])
})

test('amounts on the command line', () => {
  for (const [text, bytes] of [
    ['0', 0],
    ['500', 500],
    ['16k', 16384],
    ['2M', 2097152],
    ['1.5G', 1610612736],
    ['4KiB', 4096],
    ['1MB', 1048576]
  ] as const) {
    assert.equal(readBytes('x', text), bytes)
  }
  for (const text of ['', 'M', '-1', '2T', '1e3', '2 M/s', 'Infinity', '9'.repeat(40)]) {
    assert.throws(
      () => readBytes('upload-limit', text),
      { code: 'ERR_CLI_USAGE', message: /--upload-limit/ },
      text
    )
  }
})

test('patterns', () => {
  for (const [path, pattern, expected] of [
    ['film/a.mkv', '*.mkv', true],
    ['film/A.MKV', '*.mkv', true],
    ['film/a.mkv', 'film/*', true],
    ['film/sub/a.srt', 'film/*', false],
    ['film/sub/a.srt', 'film/**', true],
    ['film/sub/a.srt', '**/*.srt', true],
    ['a.srt', '**/*.srt', true],
    ['film/e01.mkv', 'e?1.mkv', true],
    ['film/e01.mkv', '*.mk', false],
    ['film/[1].mkv', '[1].mkv', true],
    ['film/日本.mkv', '??.mkv', true],
    ['a'.repeat(500), `${'*a'.repeat(50)}b`, false]
  ] as const) {
    assert.equal(matchesGlob(path, pattern), expected, `${path} and ${pattern}`)
  }
})

const files = [
  { name: 'readme.txt', path: 'film/readme.txt', length: 9e9, type: 'text/plain' },
  { name: 'film.mkv', path: 'film/film.mkv', length: 5e9, type: 'video/x-matroska' },
  { name: 'sample.mkv', path: 'film/sample.mkv', length: 5e7, type: 'video/x-matroska' },
  { name: '3', path: 'film/3', length: 1, type: 'application/octet-stream' }
]

test('which files are selected', () => {
  for (const [choice, expected] of [
    ['all', [0, 1, 2, 3]],
    ['none', []],
    ['0', [0]],
    ['3,0-1,1', [0, 1, 3]],
    ['*.mkv', [1, 2]]
  ] as const) {
    assert.deepEqual(chooseFiles(choice, files), expected, choice)
  }
  for (const choice of ['4', '2-9', '3-1', '*.avi', '']) {
    assert.throws(() => chooseFiles(choice, files), { code: 'ERR_CLI_USAGE', message: /--select/ }, choice)
  }
})

test('which file is streamed', () => {
  assert.equal(chooseFile(undefined, files), 1)
  assert.equal(chooseFile(undefined, files.slice(3)), 0)
  assert.equal(chooseFile('3', files), 3)
  assert.equal(chooseFile('2', files), 2)
  assert.equal(chooseFile('film/readme.txt', files), 0)
  assert.equal(chooseFile('sample*', files), 2)
  for (const choice of ['9', '*.avi', '*.mkv']) {
    assert.throws(() => chooseFile(choice, files), { code: 'ERR_CLI_USAGE', message: /--file/ }, choice)
  }
  assert.throws(() => chooseFile(undefined, []), { code: 'ERR_CLI_USAGE' })
})

test('a player as a user types it', () => {
  assert.deepEqual(splitCommand('mpv  --title="a b" {url}'), ['mpv', '--title=a b', '{url}'])
  assert.deepEqual(splitCommand(`'my player' '' x`), ['my player', '', 'x'])
  assert.deepEqual(withUrl(['mpv', '--x={url}'], 'u'), ['mpv', '--x=u'])
  assert.deepEqual(withUrl(['mpv'], 'u'), ['mpv', 'u'])
  for (const text of ['', '  ', 'mpv "x']) assert.throws(() => splitCommand(text), { code: 'ERR_CLI_USAGE' })
})

test('suggestions for misspelled names', () => {
  assert.equal(nearest('--prot', ['--port', '--peer']), '--port')
  assert.equal(nearest('dwonload', ['download', 'stream']), 'download')
  assert.equal(nearest('--zzz', ['--port']), undefined)
})

test('paths of the state folder', () => {
  const home = '/home/u'
  for (const [platform, env, expected] of [
    ['linux', {}, '/home/u/.local/state/piecewise'],
    ['linux', { XDG_STATE_HOME: '/s' }, '/s/piecewise'],
    ['linux', { XDG_STATE_HOME: 'relative' }, '/home/u/.local/state/piecewise'],
    ['darwin', {}, '/home/u/Library/Application Support/piecewise'],
    ['win32', { LOCALAPPDATA: 'C:\\Local' }, 'C:\\Local\\piecewise']
  ] as const) {
    assert.equal(stateFolder({ platform, env, home }), expected)
  }
})

const status: Status = {
  label: 'downloading',
  progress: 0.5,
  doneBytes: 5e6,
  totalBytes: 1e7,
  downloadSpeed: 1e6,
  uploadSpeed: 0,
  peers: 3,
  timeRemainingMs: 5000
}

test('the status fits every width', () => {
  for (let width = 0; width < 200; width++) assert.ok(statusLine(status, width).length <= width)
  assert.equal(
    statusLine(status, 100),
    '50.0%  [=============>              ]  4.8 of 9.5 MiB  down 977 KiB/s  3 peers  0:05 left  up 0 B/s'
  )
  assert.equal(
    statusLine(status, 72),
    '50.0%  [====>      ]  4.8 of 9.5 MiB  down 977 KiB/s  3 peers  0:05 left'
  )
  assert.equal(statusLine(status, 24), '50.0%  4.8 of 9.5 MiB')
  assert.equal(statusLine(status, 20), '50.0%  [====>      ]')
  assert.match(
    statusText({
      ...status,
      peerSources: { dht: 2, tracker: 1 },
      peerTransports: { TCP: 2, uTP: 1 },
      encryptedPeers: 1,
      dhtNodes: 120
    }),
    /3 peers.*from 2 dht, 1 tracker {2}over 2 TCP, 1 uTP {2}1 encrypted {2}120 DHT nodes$/
  )
  assert.equal(statusText({ ...status, progress: 1 }), 'downloading 100%  9.5 MiB  3 peers  up 0 B/s')
  assert.equal(
    statusText({ ...status, totalBytes: 0 }),
    'downloading  down 977 KiB/s  3 peers  0:05 left  up 0 B/s'
  )
})

function terminal(columns?: number): OutputStream & { text: string } {
  return {
    text: '',
    ...(columns === undefined ? {} : { columns, isTTY: true }),
    write(text) {
      this.text += text
      return true
    }
  }
}

const hide = '\x1b[?25l'
const show = '\x1b[?25h'
const clear = '\r\x1b[2K'

test('on a terminal the status stays in place, messages go above it, and the cursor comes back', () => {
  const stdout = terminal(40)
  const stderr = terminal(40)
  const output = new Output({ stdout, stderr })
  output.startStatus(() => status)
  assert.ok(stderr.text.startsWith(`${hide}${clear}50.0%`))
  stderr.text = ''
  output.say('hello\x1b[2J')
  assert.equal(stdout.text, 'hello\n')
  assert.ok(stderr.text.startsWith(`${clear}${clear}50.0%`))
  output.stopStatus()
  output.stopStatus()
  assert.ok(stderr.text.endsWith(`${clear}${show}`))
  assert.equal(stderr.text.split(show).length, 2)
})

test('without a terminal there is no control character', () => {
  const stdout = terminal()
  const stderr = terminal()
  const output = new Output({ stdout, stderr, dataOnStdout: true })
  output.startStatus(() => status)
  output.say('words')
  output.warn(new Error('odd'))
  output.stopStatus()
  assert.equal(stdout.text, '')
  assert.equal(stderr.text, 'words\npiecewise: warning: odd\n')
})

test('quiet keeps results, warnings and errors; after an error no warning follows', () => {
  const stdout = terminal()
  const stderr = terminal()
  const output = new Output({ stdout, stderr, quiet: true })
  output.say('words')
  output.result('result')
  output.warn('first')
  const failure = new Error('two\nlines')
  output.fail(failure)
  output.fail(failure)
  output.warn('second')
  assert.equal(stdout.text, 'result\n')
  assert.equal(stderr.text, 'piecewise: warning: first\npiecewise: two lines\n')
})

test('nothing is written to a closed standard output', () => {
  const [stdout, stderr] = [terminal(), terminal()]
  const unread = new AbortController()
  const output = new Output({ stdout, stderr, unread: unread.signal })
  output.say('one')
  unread.abort()
  output.say('two')
  output.raw('three\n')
  output.warn('four')
  assert.equal(stdout.text, 'one\n')
  assert.match(stderr.text, /four/)
})
