// Programs that play, convert and save files during their download, through the HTTP server.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import net, { type Socket } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import test from 'node:test'
import { until } from '../support/until.ts'
import { writeRandomFile } from './support/data.ts'
import { needs } from './support/need.ts'
import { hurry, makeFilm, PartlyThere, untilUnread } from './support/partly-there.ts'
import { start, within } from './support/process.ts'

const mebibyte = 1 << 20
const mpeg4 = ['-c:v', 'mpeg4', '-b:v', '3M', '-g', '25', '-c:a', 'aac']

interface Ended {
  readonly status: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** Runs a program to its end while this process serves it. */
async function play(program: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL'
  })
  const chunks: Buffer[] = []
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code] = await once(child, 'close')
  return { status: code ?? -1, stdout: Buffer.concat(chunks), stderr }
}

async function succeed(program: string, args: readonly string[]): Promise<Buffer> {
  const { status, stdout, stderr } = await play(program, args)
  assert.equal(`${status} ${stderr}`, '0 ', `${program} ${args.join(' ')}`)
  return stdout
}

/** Returns the parts of a multipart/byteranges body, each with its Content-Range header. */
function partsOf(contentType: string, body: Buffer): { range: string; bytes: Buffer }[] {
  const boundary = /^multipart\/byteranges; boundary="?([^"]+)"?$/.exec(contentType)?.[1]
  assert.ok(boundary !== undefined, contentType)
  const parts: { range: string; bytes: Buffer }[] = []
  const line = `\r\n--${boundary}`
  for (let at = body.indexOf(line); ; ) {
    const head = at + line.length
    if (body.toString('latin1', head, head + 4) === '--\r\n') {
      assert.equal(head + 4, body.length, 'nothing follows the last boundary')
      return parts
    }
    const data = body.indexOf('\r\n\r\n', head) + 4
    const next = body.indexOf(line, data)
    assert.ok(data > 3 && next >= data, 'a part has no end')
    const range = /^content-range: bytes (.*)$/im.exec(body.toString('latin1', head, data))?.[1]?.trim()
    parts.push({ range: range ?? '', bytes: body.subarray(data, next) })
    at = next
  }
}

const withCurl = needs(['curl'], 120_000)

test('curl requests ranges, many at once, and resumes, during the download', withCurl, async (t) => {
  const partly = new PartlyThere(t, 'curl')
  const file = path.join(partly.folder, 'data', 'film.bin')
  const length = 8_000_000
  writeRandomFile(file, length, 'curl')
  const data = readFileSync(file)
  const served = await partly.serve(file, [mebibyte / 2, mebibyte / 4])
  const { torrent, origin } = served
  const url = `${origin}/0`

  const ranges: [string, number, number][] = [
    ['5000000-5099999', 5_000_000, 5_100_000],
    ['-1000', length - 1000, length],
    ['7900000-', 7_900_000, length],
    ['0-0', 0, 1],
    ['7999999-9000000', 7_999_999, length]
  ]
  for (const [range, from, to] of ranges) {
    const head = path.join(partly.folder, 'head')
    const got = await succeed('curl', ['-sS', '-D', head, '-r', range, url])
    assert.ok(got.equals(data.subarray(from, to)), `range ${range}`)
    const text = readFileSync(head, 'latin1')
    assert.match(text, /^HTTP\/1\.1 206 /, `range ${range}`)
    assert.match(text, new RegExp(`^content-range: bytes ${from}-${to - 1}/${length}\r$`, 'im'))
    assert.match(text, new RegExp(`^content-length: ${to - from}\r$`, 'im'))
  }

  const several = path.join(partly.folder, 'several')
  const type = await succeed('curl', [
    ...['-sS', '-r', '6000000-6000999,100-299,-50', '-w', '%{http_code} %{content_type}', '-o', several],
    url
  ])
  const [, contentType = ''] = /^206 (.*)$/.exec(type.toString()) ?? []
  const parts = partsOf(contentType, readFileSync(several))
  assert.deepEqual(
    parts.map(({ range }) => range),
    [`6000000-6000999/${length}`, `100-299/${length}`, `${length - 50}-${length - 1}/${length}`]
  )
  for (const { range, bytes } of parts) {
    const [from = 0, last = 0] = range.split(/[-/]/).map(Number)
    assert.ok(bytes.equals(data.subarray(from, last + 1)), `part ${range}`)
  }

  const beyond = (await succeed('curl', ['-sS', '-i', '-r', '8000000-', url])).toString('latin1')
  assert.match(beyond, /^HTTP\/1\.1 416 /)
  assert.match(beyond, new RegExp(`^content-range: bytes \\*/${length}\r$`, 'im'))
  const head = (await succeed('curl', ['-sS', '-I', url])).toString('latin1')
  assert.match(head, /^HTTP\/1\.1 200 /)
  assert.match(head, new RegExp(`^content-length: ${length}\r$`, 'im'))
  assert.match(head, /^accept-ranges: bytes\r$/im)

  const connects = await succeed('curl', [
    ...['-sS', '-w', '%{stderr}', '-o', '/dev/null', '-w', '%{num_connects} '],
    ...['-r', '0-9', url, '-o', '/dev/null', url.replace(/\/0$/, `/${torrent.infoHash}/film.bin`)]
  ])
  assert.equal(connects.toString(), '1 0 ', 'both requests go over one connection')

  // Interrupted in the middle, and resumed.
  const saved = path.join(partly.folder, 'saved.bin')
  const broken = await play('curl', ['-sS', '-m', '1', '-o', saved, url])
  assert.equal(broken.status, 28, `curl gave up for another reason: ${broken.stderr}`)
  assert.ok(statSync(saved).size < length)
  assert.ok(torrent.progress < 1, 'the file was complete before the test began')
  await untilUnread(torrent)
  hurry(served)
  await succeed('curl', ['-sS', '-f', '-C', '-', '-o', saved, url])
  assert.ok(readFileSync(saved).equals(data))
  await untilUnread(torrent)
})

/** Returns the hash of each frame, decoded or converted. */
async function frames(input: string, filters: readonly string[]): Promise<string> {
  const args = ['-v', 'error', '-nostdin', '-i', input, ...filters, '-f', 'framemd5', '-']
  return (await succeed('ffmpeg', args)).toString()
}

for (const container of ['mp4', 'mkv']) {
  test(
    `ffprobe and ffmpeg read a ${container} during its download as if it were complete`,
    needs(['ffmpeg', 'ffprobe'], 120_000),
    async (t) => {
      const partly = new PartlyThere(t, 'ffmpeg')
      const film = path.join(partly.folder, 'data', `film.${container}`)
      makeFilm(film, 24, mpeg4)
      const { torrent, origin } = await partly.serve(film, [1.5 * mebibyte, mebibyte])
      const url = `${origin}/0`
      const about = ['-v', 'error', '-of', 'json', '-show_streams', '-show_entries', 'format=duration,size']
      const probed = JSON.parse((await succeed('ffprobe', [...about, url])).toString())
      assert.ok(torrent.progress < 1, 'the film was complete before it was read')
      assert.deepEqual(probed, JSON.parse((await succeed('ffprobe', [...about, film])).toString()))
      const converted = ['-map', '0', '-vf', 'scale=160:90', '-ac', '1']
      assert.equal(await frames(url, converted), await frames(film, converted))
      await untilUnread(torrent)
    }
  )
}

/** mpv, remotely controlled as graphical programs do it. */
class Mpv {
  readonly #socket: Socket
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  #serial = 0

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    createInterface({ input: socket }).on('line', (line) => {
      const { request_id: id, data, error } = JSON.parse(line)
      this.#waiting.get(id)?.(error === 'success' ? data : undefined)
      this.#waiting.delete(id)
    })
  }

  /** Sends a command. Resolves with the answer, undefined for an error. */
  ask(...command: readonly unknown[]): Promise<unknown> {
    const id = ++this.#serial
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#socket.write(`${JSON.stringify({ command, request_id: id })}\n`)
    })
  }

  async number(property: string): Promise<number> {
    const value = await this.ask('get_property', property)
    return typeof value === 'number' ? value : Number.NaN
  }

  close(): void {
    this.#socket.destroy()
  }
}

const mpvArgs = [
  'mpv',
  '--no-config',
  '--vo=null',
  '--ao=null',
  '--no-input-terminal',
  '--msg-level=cplayer=v'
]
const withMpv = needs(['mpv', 'ffmpeg'], 120_000)

test('mpv starts near the end, and leaves nothing open', withMpv, async (t) => {
  const partly = new PartlyThere(t, 'mpv-start')
  const film = path.join(partly.folder, 'data', 'film.mkv')
  makeFilm(film, 60, mpeg4)
  const { torrent, origin } = await partly.serve(film, [2 * mebibyte])
  const player = start('mpv', [...mpvArgs, '--start=80%', '--frames=30', `${origin}/0`])
  partly.after(() => player.stop())
  const status = await within('mpv', player.exited, { timeoutMs: 40_000, programs: [player] })
  assert.equal(status, 0, player.log())
  assert.match(player.log(), /playback restart complete @ 4[78]\./, 'it has begun at 80 %')
  assert.ok(torrent.progress < 1, 'the film was complete when mpv ended')
  t.diagnostic(`mpv ended with ${Math.round(torrent.progress * 100)} % downloaded`)
  await untilUnread(torrent)
})

test('mpv seeks back and forth in a film during its download', withMpv, async (t) => {
  const partly = new PartlyThere(t, 'mpv-seek')
  const film = path.join(partly.folder, 'data', 'film.mp4')
  makeFilm(film, 60, mpeg4)
  const { torrent, origin } = await partly.serve(film, [mebibyte, mebibyte])
  const door = path.join(partly.folder, 'mpv.sock')
  const player = start('mpv', [...mpvArgs, `--input-ipc-server=${door}`, `${origin}/0`])
  partly.after(() => player.stop())
  const socket = await new Promise<Socket>((resolve, reject) => {
    const knock = (left: number): void => {
      const socket = net.connect(door, () => resolve(socket))
      socket.once('error', (error) => (left === 0 ? reject(error) : setTimeout(knock, 50, left - 1)))
    }
    knock(200)
  })
  const mpv = new Mpv(socket)
  partly.after(() => mpv.close())
  const programs = [player]
  await until('mpv to play', async () => (await mpv.number('time-pos')) > 0.2, { programs })
  for (const part of [80, 10, 95, 40]) {
    await mpv.ask('seek', part, 'absolute-percent')
    const from = 0.6 * part
    const playing = async (): Promise<boolean> => {
      const at = await mpv.number('time-pos')
      return at > from + 0.2 && at < from + 5
    }
    await until(`mpv to play at ${part} %`, playing, { programs })
  }
  await until('what mpv reads no more to close', () => torrent.streams.length <= 2, { programs })
  await mpv.ask('quit')
  assert.equal(await player.exited, 0, player.log())
  await untilUnread(torrent)
})

test('a player that opens three streams at once and drops two leaves none behind', async (t) => {
  const partly = new PartlyThere(t, 'places')
  const file = path.join(partly.folder, 'data', 'film.bin')
  const length = 6_000_000
  writeRandomFile(file, length, 'places')
  const data = readFileSync(file)
  const served = await partly.serve(file, [mebibyte])
  const { torrent, origin } = served
  const agent = new http.Agent({ keepAlive: true })
  partly.after(() => agent.destroy())
  const open = async (from: number): Promise<IncomingMessage> => {
    const request = http.get(`${origin}/0`, { agent, headers: { range: `bytes=${from}-` } })
    const [response] = await once(request, 'response')
    response.on('error', () => {})
    return response
  }
  for (let round = 0; round < 20; round++) {
    const places = [0, 3_000_000 + round, 5_900_000 - round]
    const [kept, ...dropped] = await Promise.all(places.map(open))
    assert.ok(kept !== undefined)
    for (const response of dropped) response.destroy()
    await until('the dropped streams to close', () => torrent.streams.length === 1, { everyMs: 2 })
    const [chunk] = await once(kept, 'data')
    assert.ok(chunk.equals(data.subarray(0, chunk.length)))
    assert.equal(torrent.streams.length, 1)
    kept.destroy()
    await untilUnread(torrent)
  }
  assert.ok(torrent.progress < 1)
  hurry(served)
  const last = await open(0)
  const chunks: Buffer[] = []
  for await (const chunk of last) chunks.push(chunk)
  assert.ok(Buffer.concat(chunks).equals(data))
  await untilUnread(torrent)
})
