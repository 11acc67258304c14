// Runs recipes of docs/recipes.md that need no other program.
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { bytesOf } from '../cli/seeder.ts'
import { openRecipes } from '../support/recipe.ts'
import { until } from '../support/until.ts'

test('Subtitles prints WebVTT and closes its client', async (t) => {
  const srt = '\ufeff1\r\n00:00:01,500 --> 00:00:02,000\r\nOne, 2,000\r\n'
  const scene = await openRecipes(t, { 'film.mp4': bytesOf(200_000, 1), 'film.srt': Buffer.from(srt) })
  const log = t.mock.method(console, 'log', () => {})
  const { clients } = await scene.run('Subtitles')
  const lines = log.mock.calls.map(({ arguments: [line] }) => line)
  log.mock.restore()
  assert.deepEqual(lines, ['WEBVTT\n\n1\r\n00:00:01.500 --> 00:00:02.000\r\nOne, 2,000\r\n'])
  assert.equal(clients[0]?.closed, true)
})

/** The parts of `electron` that the recipe uses. */
interface FakeElectron {
  readonly app: NodeJS.EventEmitter & { quit(): void }
  readonly loaded: [string, { readonly query: { readonly src: string } }][]
  quits: number
}

const electron = (folder: string): string => `
import { EventEmitter } from 'node:events'
export const fake = (globalThis.electron = { loaded: [], quits: 0 })
export const app = (fake.app = Object.assign(new EventEmitter(), {
  getPath: (name) => ${JSON.stringify(folder)} + '/' + name,
  requestSingleInstanceLock: () => true,
  whenReady: async () => {},
  exit: () => { throw new Error('exit') },
  quit() {
    let prevented = false
    this.emit('before-quit', { preventDefault: () => (prevented = true) })
    if (!prevented) fake.quits++
  }
}))
export class BrowserWindow {
  async loadFile(...args) { fake.loaded.push(args) }
}
`

test('Electron plays a URL that the main process serves, and quits once the client is closed', async (t) => {
  const film = bytesOf(300_000, 2)
  const scene = await openRecipes(t, { 'a.txt': bytesOf(10, 3), 'film.mp4': film })
  scene.addPackage('electron', electron(path.join(scene.work, 'electron')))
  const { clients } = await scene.run('Electron')
  const fake: FakeElectron = Reflect.get(globalThis, 'electron')
  const [file, { query }] = await until('the window', () => fake.loaded[0])
  assert.equal(file, 'player.html')
  const reply = await fetch(query.src)
  assert.equal(reply.headers.get('content-type'), 'video/mp4')
  assert.deepEqual(new Uint8Array(await reply.arrayBuffer()), film)
  fake.app.quit()
  assert.equal(fake.quits, 0, 'it quits before the client has saved')
  await until('the application to quit', () => fake.quits === 1)
  assert.equal(clients[0]?.closed, true)
})
