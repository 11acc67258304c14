// A local network: namespaces on one bridge, so that several programs have an address of their own and
// receive multicast.
import { removeStale } from './namespaces.ts'
import { attempt, type Place, run } from './process.ts'

/** Places that all reach each other, and how to remove them. */
export interface Lan {
  readonly places: readonly Place[]
  close(): void
}

let serial = 0

/** Opens a network of `count` places with addresses of one family; needs `namespaces`. */
export function openLan(count: number, family: 4 | 6 = 4): Lan {
  removeStale()
  const prefix = `pw-${process.pid}-lan${++serial}`
  const number = (process.pid + serial) % 256
  const subnet = family === 4 ? `10.78.${number}.` : `fd78:${number}::`
  const prefixLength = family === 4 ? 24 : 64
  const bridge = `${prefix}-br`
  const names = Array.from({ length: count }, (_, n) => `${prefix}-${n + 1}`)
  const close = (): void => {
    for (const name of [...names, bridge]) attempt(['ip', 'netns', 'del', name])
  }
  try {
    run(['ip', 'netns', 'add', bridge])
    // Without snooping every port gets every multicast packet, as from a plain switch.
    run(['ip', '-n', bridge, 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0'])
    run(['ip', '-n', bridge, 'link', 'set', 'br0', 'up'])
    const places = names.map((name, index): Place => {
      const host = `${subnet}${index + 1}`
      const port = `port${index + 1}`
      run(['ip', 'netns', 'add', name])
      run(['ip', '-n', name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', port, 'netns', bridge])
      run(['ip', '-n', bridge, 'link', 'set', port, 'master', 'br0', 'up'])
      run([
        'ip',
        '-n',
        name,
        'addr',
        'add',
        `${host}/${prefixLength}`,
        'dev',
        'eth0',
        ...(family === 6 ? ['nodad'] : [])
      ])
      run(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
      run(['ip', '-n', name, 'link', 'set', 'eth0', 'up'])
      run([
        'ip',
        '-n',
        name,
        `-${family}`,
        'route',
        'add',
        'default',
        'via',
        `${subnet}${family === 4 ? 254 : 'fe'}`
      ])
      return { host, enter: ['ip', 'netns', 'exec', name] }
    })
    return { places, close }
  } catch (error) {
    close()
    throw error
  }
}
