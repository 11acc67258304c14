// Runs a recipe in a process of its own, so that it can live in a network namespace, and downloads with its client:
// node run-recipe.js <program> <working folder> <peer>
import { runRecipe } from '../support/recipe.ts'

const [program = '', work = '', peer = ''] = process.argv.slice(2)
const recipe = await runRecipe(program, work, peer)
const torrent = await recipe.clients[0]?.add('movie.torrent', { select: 'all' })
await torrent?.whenDone({ signal: AbortSignal.timeout(20_000) })
await recipe.close()
