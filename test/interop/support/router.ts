// A home network: a client behind a router with miniupnpd, and a host outside, each in a network namespace.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { removeStale } from './namespaces.ts'
import { attempt, type Place, type Running, run, start } from './process.ts'

/** Requirements of a {@link HomeNetwork}. */
export const routerNeeds: readonly string[] = ['miniupnpd', 'nft', 'namespaces']
/** Address of the router outside; miniupnpd takes no private or reserved one. */
export const outsideHost = '85.78.0.1'

/** Settings of the router. */
export interface RouterOptions {
  /** Whether it speaks PCP and NAT-PMP; `nat-pmp` drops PCP requests. Default true. */
  readonly pmp?: boolean | 'nat-pmp'
  /** Whether it speaks UPnP; default true. */
  readonly upnp?: boolean
  /** Folder for its files. */
  readonly folder: string
}

/** A client, a router and a host outside. */
export interface HomeNetwork {
  readonly client: Place
  readonly outside: Place
  /** Starts the router's daemon; resolves when it listens. */
  startRouter(): Promise<Running>
  /** Returns the forwarded external ports, as `tcp 6881`. */
  table(): string[]
  /** Forgets the forwarded ports, as a restart does. */
  forget(): void
  close(): void
}

let serial = 0
const rules = `table inet filter {
  chain forward { type filter hook forward priority 0; policy accept; jump miniupnpd; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; policy accept; jump postrouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
`
const dropPcp = `table ip pcp { chain in { type filter hook input priority 0; policy accept; udp dport 5351 @th,64,8 2 drop; }; }
`

/** Opens the network; needs {@link routerNeeds}. */
export function openHomeNetwork({ pmp = true, upnp = true, folder }: RouterOptions): HomeNetwork {
  removeStale()
  const prefix = `pw-${process.pid}-home${++serial}`
  const names = ['client', 'router', 'outside'].map((side) => `${prefix}-${side}`)
  const [client = '', router = '', outside = ''] = names
  const [lan, wan] = [`10.79.${process.pid % 256}`, '85.78.0']
  const close = (): void => {
    for (const name of names) attempt(['ip', 'netns', 'del', name])
  }
  const inRouter: Place = { host: `${lan}.1`, enter: ['ip', 'netns', 'exec', router] }
  const link = (name: string, device: string, other: string): void =>
    void run([
      'ip',
      '-n',
      router,
      'link',
      'add',
      device,
      'type',
      'veth',
      'peer',
      'name',
      other,
      'netns',
      name
    ])
  const address = (name: string, device: string, host: string): void => {
    run(['ip', '-n', name, 'addr', 'add', `${host}/24`, 'dev', device])
    run(['ip', '-n', name, 'link', 'set', device, 'up'])
  }
  try {
    for (const name of names) {
      run(['ip', 'netns', 'add', name])
      run(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
    }
    link(client, 'lan0', 'eth0')
    link(outside, 'wan0', 'eth0')
    address(router, 'lan0', `${lan}.1`)
    address(router, 'wan0', outsideHost)
    address(client, 'eth0', `${lan}.2`)
    address(outside, 'eth0', `${wan}.2`)
    run(['ip', '-n', client, 'route', 'add', 'default', 'via', `${lan}.1`])
    // Until the cable counts as plugged in, Node does not list the interface.
    run(['sh', '-c', 'until grep -qx up /sys/class/net/eth0/operstate; do sleep 0.05; done'], {
      host: '',
      enter: ['ip', 'netns', 'exec', client]
    })
    run(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'], inRouter)
    run(['nft', '-f', '-'], inRouter, `${rules}${pmp === 'nat-pmp' ? dropPcp : ''}`)
  } catch (error) {
    close()
    throw error
  }
  const config = path.join(folder, 'miniupnpd.conf')
  const word = (is: boolean): string => (is ? 'yes' : 'no')
  const settings: Readonly<Record<string, string>> = {
    ...{ ext_ifname: 'wan0', ext_ip: outsideHost, listening_ip: 'lan0', port: '5000' },
    ...{ enable_natpmp: word(pmp !== false), enable_upnp: word(upnp), secure_mode: 'no' },
    ...{ upnp_forward_chain: 'miniupnpd', upnp_nat_chain: 'prerouting_miniupnpd' },
    ...{ upnp_nat_postrouting_chain: 'postrouting_miniupnpd', upnp_table_name: 'filter' },
    ...{ upnp_nat_table_name: 'filter', uuid: '00000000-0000-0000-0000-000000000001' }
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  writeFileSync(config, `${lines.join('\n')}\nallow 1024-65535 0.0.0.0/0 1024-65535\n`)
  return {
    client: { host: `${lan}.2`, enter: ['ip', 'netns', 'exec', client] },
    outside: { host: `${wan}.2`, enter: ['ip', 'netns', 'exec', outside] },
    async startRouter() {
      const pid = path.join(folder, 'miniupnpd.pid')
      const daemon = start('miniupnpd', ['miniupnpd', '-d', '-f', config, '-P', pid], { place: inRouter })
      const ready = pmp === false ? 'HTTP listening' : 'Listening for NAT-PMP/PCP'
      for (let n = 0; !daemon.log().includes(ready); n++) {
        if (n === 200) throw new Error(`miniupnpd does not listen:\n${daemon.log()}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      return daemon
    },
    table() {
      const { stdout } = run(['nft', 'list', 'chain', 'inet', 'filter', 'prerouting_miniupnpd'], inRouter)
      // nft prints the protocol as a raw comparison with its number.
      const rule = /(?:@nh,72,8|meta l4proto|ip protocol) (\S+) .*dport (\d+)/g
      return [...stdout.matchAll(rule)]
        .map(([, protocol, port]) => `${protocol === '0x11' || protocol === 'udp' ? 'udp' : 'tcp'} ${port}`)
        .sort()
    },
    forget() {
      for (const chain of ['prerouting_miniupnpd', 'miniupnpd'])
        run(['nft', 'flush', 'chain', 'inet', 'filter', chain], inRouter)
    },
    close
  }
}
