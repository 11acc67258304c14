import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { until } from '../../support/until.ts'
import { attempt, type Place, type Running, start } from '../support/process.ts'
import { freePort } from './real-peer.ts'

/** A running proxy. */
export interface RealProxy extends Running {
  /** Value of the client's option `proxy`. */
  readonly url: string
  readonly port: number
  /** Kills it with all its helper processes, and waits until they are gone. */
  kill(): Promise<void>
}

/** Options of a proxy. */
export interface ProxyTask {
  readonly place: Place
  readonly folder: string
  /** Port to listen on; default a free one. */
  readonly port?: number
}

/** Starts a proxy; resolves once it listens. */
export type StartProxy = (task: ProxyTask) => Promise<RealProxy>

const login = { user: 'me', password: 'sekret' }

async function run(
  command: readonly string[],
  port: number,
  url: string,
  { place }: ProxyTask
): Promise<RealProxy> {
  const running = start(command[0] ?? '', command, { place })
  const listens = (): boolean => attempt(['ss', '-Hltn', `sport = :${port}`], place).stdout !== ''
  await until(`${command[0]} to listen`, listens, { programs: [running], everyMs: 20 })
  const kill = async (): Promise<void> => {
    const others = attempt(['ps', '-o', 'pid=', '--ppid', `${running.pid}`]).stdout.match(/\d+/g) ?? []
    running.signal('SIGKILL')
    for (const pid of others) attempt(['kill', '-KILL', pid])
    await running.exited
  }
  return { ...running, url, port, kill }
}

function danteConfig({ host }: Place, port: number): string {
  return `logoutput: stderr
internal: ${host} port = ${port}
external: ${host}
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect udpassociate }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: udpreply }
`
}

async function dante(kind: 'socks5' | 'socks4a', task: ProxyTask): Promise<RealProxy> {
  const { port = await freePort(), place, folder } = task
  const file = path.join(folder, `dante-${port}.conf`)
  writeFileSync(file, danteConfig(place, port))
  return run(['danted', '-f', file], port, `${kind}://${place.host}:${port}`, task)
}

/** Names of the proxies. */
export type ProxyName = 'dante' | 'dante by SOCKS4' | 'microsocks' | 'tinyproxy'

/** Real proxies by name. */
export const proxies: Readonly<Record<ProxyName, StartProxy>> = {
  dante: (task) => dante('socks5', task),
  'dante by SOCKS4': (task) => dante('socks4a', task),
  async microsocks(task) {
    const { port = await freePort(), place } = task
    const { user, password } = login
    const command = ['microsocks', '-i', place.host, '-p', `${port}`, '-u', user, '-P', password]
    return run(command, port, `socks5://${user}:${password}@${place.host}:${port}`, task)
  },
  async tinyproxy(task) {
    const { port = await freePort(), place, folder } = task
    const { user, password } = login
    const file = path.join(folder, `tinyproxy-${port}.conf`)
    writeFileSync(
      file,
      `Port ${port}\nListen ${place.host}\nBasicAuth ${user} ${password}\nLogLevel Warning\n`
    )
    const url = `http://${user}:${password}@${place.host}:${port}`
    return run(['tinyproxy', '-d', '-c', file], port, url, task)
  }
}

/** Requirements of each proxy. */
export const proxyNeeds: Readonly<Record<ProxyName, readonly string[]>> = {
  dante: ['danted'],
  'dante by SOCKS4': ['danted'],
  microsocks: ['microsocks'],
  tinyproxy: ['tinyproxy']
}
