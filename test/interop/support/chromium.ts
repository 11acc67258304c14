// Debian's Chromium, driven by playwright-core. Its types need browser types, which this project does not
// have. So the used part is declared here, and code inside the page is text.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import { until } from '../../support/until.ts'
import type { PartlyThere } from './partly-there.ts'
import { which } from './process.ts'

/** A part of the page, looked up anew for each use. Actions wait until it exists and is usable. */
export interface Locator {
  click(): Promise<void>
  fill(text: string): Promise<void>
  focus(): Promise<void>
  check(): Promise<void>
  uncheck(): Promise<void>
  isVisible(): Promise<boolean>
  textContent(): Promise<string | null>
  count(): Promise<number>
  waitFor(options?: { readonly state?: 'visible' | 'hidden' | 'attached' | 'detached' }): Promise<void>
}

/** A page of the browser. */
export interface Page {
  readonly keyboard: { press(key: string): Promise<void> }
  goto(url: string): Promise<unknown>
  locator(selector: string, options?: { readonly hasText?: string | RegExp }): Locator
  getByRole(role: string, options: { readonly name: string | RegExp; readonly exact?: boolean }): Locator
  /** Evaluates an expression inside the page. */
  evaluate(expression: string): Promise<unknown>
  screenshot(options: { readonly path: string; readonly fullPage?: boolean }): Promise<unknown>
  url(): string
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): void
  on(event: 'pageerror', listener: (error: Error) => void): void
  on(event: 'request', listener: (request: { url(): string }) => void): void
}

interface Context {
  newPage(): Promise<Page>
  setDefaultTimeout(timeoutMs: number): void
}

interface Browser {
  newContext(options: object): Promise<Context>
  close(): Promise<void>
}

interface Playwright {
  readonly chromium: { launch(options: object): Promise<Browser> }
}

const flags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

/** The appearance of a page. */
export interface Look {
  readonly scheme?: 'light' | 'dark'
  /** A telephone, held upright. */
  readonly phone?: boolean
}

/** A page, and its errors. */
export interface Watched {
  readonly page: Page
  /** Fails when the page had errors, or sent a request to any host but its server. */
  assertCalm(): void
}

/** Opens a page at `url` in a browser of its own. Resolves when it is connected. */
export async function openPage(
  partly: PartlyThere,
  url: string,
  { scheme = 'light', phone = false }: Look = {}
): Promise<Watched> {
  const playwright: Playwright = createRequire(import.meta.url)('playwright-core')
  const browser = await playwright.chromium.launch({
    executablePath: which('chromium'),
    args: flags,
    headless: true,
    chromiumSandbox: false
  })
  partly.after(() => browser.close())
  const context = await browser.newContext({
    colorScheme: scheme,
    viewport: phone ? { width: 360, height: 740 } : { width: 1280, height: 900 },
    deviceScaleFactor: phone ? 2 : 1,
    isMobile: phone,
    hasTouch: phone,
    permissions: ['clipboard-read', 'clipboard-write']
  })
  context.setDefaultTimeout(20_000)
  const page = await context.newPage()
  const faults: string[] = []
  const { origin } = new URL(url)
  page.on('console', (message) => {
    if (/^(error|warning)$/.test(message.type())) faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('request', (request) => {
    const { protocol, origin: asked } = new URL(request.url())
    if (protocol !== 'data:' && protocol !== 'blob:' && asked !== origin)
      faults.push(`asked ${request.url()}`)
  })
  await page.goto(url)
  await holds(page, "document.getElementById('speeds').textContent.includes('/s')")
  return { page, assertCalm: () => assert.deepEqual(faults, []) }
}

/**
 * Resolves when an expression inside the page is truthy. Evaluates from outside, because the page's policy
 * forbids evaluation.
 */
export async function holds(page: Page, expression: string): Promise<void> {
  await until(expression, async () => Boolean(await page.evaluate(expression)), { everyMs: 30 })
}

/** Saves a picture of the page in the folder that PIECEWISE_SCREENSHOTS names, for developers of the page. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env['PIECEWISE_SCREENSHOTS']
  if (folder === undefined) return
  await page.screenshot({ path: path.join(folder, `${name.replaceAll(' ', '-')}.png`), fullPage: true })
}
