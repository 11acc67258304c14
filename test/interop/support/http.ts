// HTTP requests sent from inside a place, where a program's control port listens on that place's own
// loopback.
import { execFile } from 'node:child_process'
import type { Place } from './process.ts'

/** A request; `files` makes it a multipart form with `fields` as its other parts. */
export interface RequestOptions {
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly fields?: Readonly<Record<string, string>>
  /** Form part name to file path. */
  readonly files?: Readonly<Record<string, string>>
}

/** An answer; `status` 0 means that no server answered. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const script = `
const { url, body, headers, fields, files } = JSON.parse(process.argv[1])
let form
if (fields || files) {
  form = new FormData()
  for (const [name, value] of Object.entries(fields ?? {})) form.append(name, value)
  for (const [name, file] of Object.entries(files ?? {})) form.append(name, new Blob([require('node:fs').readFileSync(file)]), 'file.torrent')
}
const send = form ?? body
fetch(url, { method: send === undefined ? 'GET' : 'POST', body: send, headers, signal: AbortSignal.timeout(10000) })
  .then(async (reply) => ({ status: reply.status, headers: Object.fromEntries(reply.headers), body: await reply.text() }))
  .catch((error) => ({ status: 0, headers: {}, body: String(error.cause ?? error) }))
  .then((reply) => console.log(JSON.stringify(reply)))
`

/** Sends one request from inside `place`. Never rejects for an unreachable server. */
export async function request(place: Place, url: string, options: RequestOptions = {}): Promise<Reply> {
  const [program = '', ...args] = [
    ...place.enter,
    process.execPath,
    '-e',
    script,
    JSON.stringify({ url, ...options })
  ]
  const stdout = await new Promise<string>((resolve, reject) =>
    execFile(program, args, { maxBuffer: 1 << 26, timeout: 20_000 }, (error, out) =>
      error ? reject(error) : resolve(out)
    )
  )
  return JSON.parse(stdout) as Reply
}
