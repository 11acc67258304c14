// Port mapping with miniupnpd: a client behind a router, and a host outside that connects to it.
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { NatReport } from './run-nat.ts'
import { temporaryFolder } from './support/data.ts'
import { needs } from './support/need.ts'
import { attempt, type Running, start, within } from './support/process.ts'
import {
  type HomeNetwork,
  openHomeNetwork,
  outsideHost,
  type RouterOptions,
  routerNeeds
} from './support/router.ts'

const port = 16_881
const both = [`tcp ${port}`, `udp ${port}`]
const options = needs(routerNeeds, 60_000)

interface Home {
  readonly home: HomeNetwork
  readonly router: Running
}

async function openHome(t: TestContext, settings: Omit<RouterOptions, 'folder'>): Promise<Home> {
  const { folder, remove } = temporaryFolder('nat')
  const home = openHomeNetwork({ ...settings, folder })
  t.after(() => {
    home.close()
    remove()
  })
  const router = await home.startRouter()
  t.after(() => router.stop())
  return { home, router }
}

class Client {
  readonly program: Running
  readonly reports: NatReport[] = []
  #wake: () => void = () => {}

  constructor(t: TestContext, { client }: HomeNetwork, name = 'run-nat') {
    const file = fileURLToPath(new URL(`./${name}.js`, import.meta.url))
    this.program = start('client', [process.execPath, file, JSON.stringify({ port })], {
      place: client,
      onLine: (line) => {
        this.reports.push(JSON.parse(line) as NatReport)
        this.#wake()
      }
    })
    t.after(() => this.program.stop())
  }

  /** Resolves with the first report that fits. */
  async report(what: string, fits: (report: NatReport) => boolean): Promise<NatReport> {
    const found = async (): Promise<NatReport> => {
      for (;;) {
        const report = this.reports.find(fits)
        if (report !== undefined) return report
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
    return within(what, found(), { programs: [this.program], timeoutMs: 20_000 })
  }

  mapped(): Promise<NatReport> {
    return this.report('mapping', ({ status }) => status?.transports?.length === 2)
  }

  async close(): Promise<NatReport> {
    this.program.signal('SIGTERM')
    return this.report('closing', ({ closed }) => closed === true)
  }
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const wait = async (): Promise<void> => {
    while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await within(what, wait(), { timeoutMs: 20_000 })
}

for (const { protocol, settings } of [
  { protocol: 'pcp', settings: {} },
  { protocol: 'nat-pmp', settings: { pmp: 'nat-pmp' } },
  { protocol: 'upnp', settings: { pmp: false } }
] as const)
  test(`miniupnpd maps the port by ${protocol}, and a host outside connects`, options, async (t) => {
    const { home } = await openHome(t, settings)
    const client = new Client(t, home)
    const { status, ms } = await client.mapped()
    assert.deepEqual(
      [status?.state, status?.protocol, status?.externalAddress, status?.externalPort],
      ['mapped', protocol, outsideHost, port]
    )
    assert.deepEqual(home.table(), both)
    const connect = ['bash', '-c', `exec 3<>/dev/tcp/${outsideHost}/${port}`]
    assert.equal(attempt(connect, home.outside).status, 0, 'the port is not open')
    const closing = await client.close()
    assert.deepEqual(home.table(), [])
    assert.notEqual(attempt(connect, home.outside).status, 0, 'the port is still open')
    t.diagnostic(`mapped after ${ms} ms, removed in ${closing.ms} ms`)
    assert.ok(ms < 2_000 && closing.ms < 1_000, `${ms} ms to map, ${closing.ms} ms to close`)
  })

test('a mapping that a killed client has left behind is taken over', options, async (t) => {
  const { home } = await openHome(t, {})
  const first = new Client(t, home)
  await first.mapped()
  first.program.signal('SIGKILL')
  await first.program.exited
  assert.deepEqual(home.table(), both)
  const second = new Client(t, home)
  const { status } = await second.mapped()
  assert.equal(status?.externalPort, port)
  await second.close()
  assert.deepEqual(home.table(), [])
})

test('a router that restarts gets the port again', options, async (t) => {
  const { home, router } = await openHome(t, {})
  const client = new Client(t, home)
  await client.mapped()
  await router.stop()
  home.forget()
  const again = await home.startRouter()
  t.after(() => again.stop())
  await until('the mapping after the restart', () => home.table().length === 2)
})

test('leases are renewed', options, async (t) => {
  const { home } = await openHome(t, { pmp: false })
  const mapper = new Client(t, home, 'run-port-mapper')
  await mapper.mapped()
  home.forget()
  await until('the renewal', () => home.table().length === 2)
  mapper.program.signal('SIGTERM')
  await mapper.program.exited
  assert.deepEqual(home.table(), [])
})

test(
  'a port that another host has is replaced by another, which trackers hear of',
  needs([...routerNeeds, 'upnpc'], 60_000),
  async (t) => {
    const { home } = await openHome(t, {})
    const other = home.client.host.replace(/\d+$/, '77')
    const add = ['upnpc', '-a', other, String(port), String(port), 'TCP']
    assert.match(attempt(add, home.client).stdout, /is redirected to/)
    const client = new Client(t, home)
    const { status } = await client.report('mapping', (report) => report.status?.state === 'mapped')
    const externalPort = status?.externalPort ?? 0
    assert.ok(externalPort !== 0 && externalPort !== port, `mapped on ${externalPort}`)
    await client.report('the announce', ({ announced }) => announced === externalPort)
    await client.close()
    assert.deepEqual(home.table(), [`tcp ${port}`])
  }
)
