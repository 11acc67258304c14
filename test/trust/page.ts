import type { TestContext } from 'node:test'
import type { AddOptions, Client, Magnet } from '../../lib/index.ts'
import type { ServerOptions } from '../../lib/server.ts'
import { ask, serve } from '../server/support.ts'

/** What the client of a server was asked to add. */
export interface FromPage {
  readonly status: number
  readonly link: Magnet | undefined
  readonly options: AddOptions
}

/** Adds a magnet link through the API of a page, with further fields in the body, and looks at what the client would be given. */
export async function addFromPage(
  t: TestContext,
  source: string,
  fields: object,
  options: ServerOptions = {}
): Promise<FromPage> {
  let link: Magnet | undefined
  let given: AddOptions = {}
  const client = {
    torrents: [],
    restored: async () => [],
    on() {},
    off() {},
    get: () => undefined,
    add: async (added: Magnet, addOptions: AddOptions) => {
      link = added
      given = addOptions
      throw new Error('not now')
    }
  }
  const { port } = await serve(t, client as unknown as Client, options)
  const { status } = await ask(port, '/api/torrents', {
    method: 'POST',
    headers: { 'x-piecewise': '1', 'content-type': 'application/json' },
    body: JSON.stringify({ source, ...fields })
  })
  return { status, link, options: given }
}
