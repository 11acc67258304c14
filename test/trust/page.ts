import type { TestContext } from 'node:test'
import type { AddOptions, Client, Magnet } from '../../lib/index.ts'
import type { ServerOptions } from '../../lib/server.ts'
import { ask, serve } from '../server/support.ts'

/** The request of a page to the server's client. */
export interface FromPage {
  readonly status: number
  readonly link: Magnet | undefined
  readonly options: AddOptions
}

/**
 * Adds a magnet link through a page's API, with further fields in the body. Returns the arguments that the
 * client would get.
 */
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
