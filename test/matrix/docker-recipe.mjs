// Downloads with the command that the Docker recipe runs in its container, from a seeder on loopback. As root, it runs under another
// user without a home, like `docker run --user`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { Client } from 'piecewise'
import { report } from './report.mjs'
import { makeBytes, seedMovie } from './run-recipe.mjs'

report(main(JSON.parse(readFileSync(process.argv[2], 'utf8'))))

async function main({ prefix, entry, mounted, args }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'docker-'))
  chmodSync(folder, 0o755)
  const film = makeBytes(1_000_000)
  const { seeder, work, peer } = await seedMovie({ Client }, folder, { 'film.mp4': film })
  try {
    const command = path.join(prefix, process.platform === 'win32' ? `${entry}.cmd` : `bin/${entry}`)
    const inside = args.map((arg) => (arg.startsWith(mounted) ? work + arg.slice(mounted.length) : arg))
    const alone = ['--host', '127.0.0.1', '--no-dht', '--peer', peer]
    const other = process.getuid?.() === 0 ? { uid: 4242, gid: 4242 } : {}
    if (other.uid !== undefined) chownSync(work, other.uid, other.gid)
    const child = spawn(command, [...inside, ...alone], {
      cwd: work,
      env: { PATH: process.env.PATH, HOME: '/' },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
      timeout: 60_000,
      ...other
    })
    let output = ''
    child.stdout.on('data', (data) => (output += data))
    child.stderr.on('data', (data) => (output += data))
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`the command ended with ${code}\n${output}`)
    if (!readFileSync(path.join(work, 'movie/film.mp4')).equals(film))
      throw new Error('the downloaded film is not what was seeded')
    return { output }
  } finally {
    await seeder.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
