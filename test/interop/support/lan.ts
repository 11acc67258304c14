// A local network: namespaces on one bridge, so that several programs have an address of their own and hear multicast.
import { removeStale } from './namespaces.ts'
import { attempt, type Place, run } from './process.ts'

/** Places that all reach each other, and how to give them back. */
export interface Lan {
  readonly places: readonly Place[]
  close(): void
}

let serial = 0

/** Opens a network of `count` places; needs `namespaces`. */
export function openLan(count: number): Lan {
  removeStale()
  const prefix = `pw-${process.pid}-lan${++serial}`
  const subnet = `10.78.${(process.pid + serial) % 256}`
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
      const host = `${subnet}.${index + 1}`
      const port = `port${index + 1}`
      run(['ip', 'netns', 'add', name])
      run(['ip', '-n', name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', port, 'netns', bridge])
      run(['ip', '-n', bridge, 'link', 'set', port, 'master', 'br0', 'up'])
      run(['ip', '-n', name, 'addr', 'add', `${host}/24`, 'dev', 'eth0'])
      run(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
      run(['ip', '-n', name, 'link', 'set', 'eth0', 'up'])
      run(['ip', '-n', name, 'route', 'add', 'default', 'via', `${subnet}.254`])
      return { host, enter: ['ip', 'netns', 'exec', name] }
    })
    return { places, close }
  } catch (error) {
    close()
    throw error
  }
}
