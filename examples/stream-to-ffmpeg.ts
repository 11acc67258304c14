// Pipes the largest file of a torrent into ffmpeg, which converts it to an audio file during the download.
//   node dist/examples/stream-to-ffmpeg.js <source> <output> [peer]
// The environment variable FFMPEG names another program than ffmpeg; it gets the same arguments.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { Client } from 'piecewise'

const [source = '', output = 'audio.opus', ...peers] = process.argv.slice(2)
const [program = 'ffmpeg', ...before] = (process.env['FFMPEG'] ?? 'ffmpeg').split(' ')
const args = [...before, '-loglevel', 'error', '-y', '-i', 'pipe:0', '-vn', output]
const ffmpeg = spawn(program, args, { stdio: ['pipe', 'inherit', 'inherit'] })
const isThere = await once(ffmpeg, 'spawn').then(
  () => true,
  () => false
)
if (!isThere) {
  console.error(`skipped: ${program} cannot be started; install ffmpeg, or name it in FFMPEG`)
} else {
  const exited = once(ffmpeg, 'exit')
  const client = new Client({ host: process.env['HOST'] })
  const torrent = await client.add(source, { peers, select: 'none' })
  const [largest] = [...torrent.files].sort((a, b) => b.length - a.length)
  if (largest === undefined) throw new Error('the torrent has no files')
  // A program that has read enough closes its input early; that is not an error.
  await pipeline(largest.createReadStream(), ffmpeg.stdin).catch((thrown) => {
    if (thrown.code !== 'EPIPE' && thrown.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw thrown
  })
  const [code] = await exited
  await client.close()
  process.exitCode = Number(code ?? 1)
}
