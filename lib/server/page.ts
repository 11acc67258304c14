import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { OutgoingHttpHeaders } from 'node:http'
import type { Torrent } from '../index.ts'
import { urlPath } from './catalog.ts'
import { escapeHtml } from './disposition.ts'
import { mostFilesShown } from './snapshot.ts'

/** The page: one document with inline script and style. */
export interface Page {
  /** Returns the document, with plain links to the torrents, or to the files of one, for clients without scripts. */
  html(torrents: readonly Torrent[], shown: Torrent | undefined, query: string): string
  readonly headers: OutgoingHttpHeaders
}

let loaded: Page | undefined

/** Reads the page from disk, once. */
export function loadPage(): Page {
  return (loaded ??= makePage(readFileSync(new URL('./page.html', import.meta.url), 'utf8')))
}

function makePage(source: string): Page {
  const [before = '', after = ''] = source.split('<!-- links -->')
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(source, 'script')}`,
    `style-src ${hashOf(source, 'style')}`,
    "img-src 'self' data:",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ]
  return {
    html: (torrents, shown, query) => before + links(torrents, shown, query) + after,
    headers: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy.join('; ') }
  }
}

/** The policy allows inline script and style by their hash, so that nothing injected into the page runs. */
function hashOf(source: string, element: 'script' | 'style'): string {
  const inside = new RegExp(`<${element}>([\\s\\S]*?)</${element}>`).exec(source)?.[1] ?? ''
  return `'sha256-${createHash('sha256').update(inside).digest('base64')}'`
}

function links(torrents: readonly Torrent[], shown: Torrent | undefined, query: string): string {
  const items =
    shown === undefined
      ? torrents.map((torrent) => [urlPath(torrent), torrent.name] as const)
      : shown.files.slice(0, mostFilesShown).map((file) => [urlPath(shown, file), file.path] as const)
  const list = items.map(
    ([url, name]) => `<li><a href="${escapeHtml(url + query)}">${escapeHtml(name)}</a></li>`
  )
  return `<noscript><ul>${list.join('\n')}</ul></noscript>`
}
