// Runs a program of docs/recipes.md, as scripts/recipes.mjs writes it, inside this process: its clients stay on loopback and know a
// seeder, and its servers listen on free ports.
import { Buffer } from 'node:buffer'
import { mkdirSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

const alone = { host: '127.0.0.1', dht: false, lsd: false, pex: false }

/**
 * Seeds files as the torrent `movie`, and writes its `movie.torrent` into a new working folder.
 * @param {{ Client: Function }} piecewise
 * @param {Record<string, Uint8Array>} files
 */
export async function seedMovie({ Client }, folder, files, options = {}) {
  const movie = path.join(folder, 'movie')
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(movie, name)), { recursive: true })
    writeFileSync(path.join(movie, name), bytes)
  }
  const seeder = new Client({ ...alone, ...options })
  const torrent = await seeder.seed(movie, { pieceLength: 65_536 })
  const work = path.join(folder, 'work')
  mkdirSync(work)
  writeFileSync(path.join(work, 'movie.torrent'), torrent.torrentFile)
  return { seeder, work, peer: `127.0.0.1:${seeder.port}` }
}

/**
 * Imports a program in its working folder. Resolves with its exports, its clients and the ports that it listens on instead of those
 * that it names.
 * @param {{ Client: Function, createServer: Function, peer: string, work: string }} settings
 */
export async function runRecipe(program, { Client, createServer, peer, work }) {
  const clients = []
  const servers = []
  const others = []
  const downloads = path.join(work, 'downloads')
  globalThis.recipe = {
    createServer(...args) {
      const server = createServer(...args)
      others.push(server)
      return server
    },
    Client: class extends Client {
      constructor(options = {}) {
        super({ ...alone, path: downloads, ...options })
        clients.push(this)
      }

      add(source, options) {
        // Only what is read is downloaded, so that a test can tell that nothing was read.
        return super.add(source, { peers: [peer], select: 'none', ...options })
      }

      async close() {
        await super.close()
        this.closed = true
      }
    }
  }
  const { listen } = net.Server.prototype
  net.Server.prototype.listen = function (...args) {
    const [first, second] = args
    const named = typeof first === 'object' && first !== null ? first : { port: first, host: second }
    // Ports of clients go their own way: they are 0.
    if (Number(named.port) === 0) return listen.apply(this, args)
    if (named.host !== '127.0.0.1') throw new Error(`a recipe listens on ${named.host ?? 'all addresses'}`)
    servers.push({ server: this, port: Number(named.port) })
    return listen.call(
      this,
      { port: 0, host: named.host },
      ...args.filter((arg) => typeof arg === 'function')
    )
  }
  process.chdir(work)
  let exports
  try {
    exports = await import(pathToFileURL(program).href)
    await Promise.all(
      servers.map(
        ({ server }) => server.listening || new Promise((resolve) => server.once('listening', resolve))
      )
    )
  } finally {
    net.Server.prototype.listen = listen
  }
  return {
    exports,
    clients,
    /** Returns the port that stands in for one that the recipe names. */
    portOf: (port) => servers.find((one) => one.port === port)?.server.address().port,
    async close() {
      for (const server of [...others, ...servers.map(({ server }) => server)]) {
        server.closeAllConnections()
        if (server.listening) server.close()
      }
      for (const client of clients) await client.close()
    }
  }
}

/** Returns bytes that look random, the same in every run. */
export function makeBytes(length, state = 0x9e3779b9) {
  const words = new Uint32Array(Math.ceil(length / 4))
  for (let n = 0; n < words.length; n++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[n] = state
  }
  return Buffer.from(words.buffer, 0, length)
}
