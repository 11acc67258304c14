// Two network namespaces joined by a cable, because some programs do not dial loopback addresses.
import { existsSync, readdirSync } from 'node:fs'
import { attempt, loopback, type Place, run, which } from './process.ts'

/** Two places that reach each other, and how to remove them. */
export interface Places {
  readonly a: Place
  readonly b: Place
  /** Whether these are namespaces; if not, both are loopback. */
  readonly separate: boolean
  /**
   * Gives `a` that many more addresses, at most 254, each in a network of its own (/24), because some
   * programs use one DHT node of each. Global ones look like addresses of the Internet, to which rules apply
   * that exempt private ones.
   */
  spread(count: number, kind?: 'private' | 'global'): readonly string[]
  close(): void
}

let serial = 0

/** Returns whether this process may make network namespaces. */
export function namespacesPossible(): boolean {
  return (
    process.getuid?.() === 0 && which('ip') !== undefined && attempt(['ip', 'netns', 'list']).status === 0
  )
}

/** Opens two namespaces joined by a veth pair if possible, else loopback twice. */
export function openPlaces(): Places {
  if (!namespacesPossible()) {
    const spread = (count: number) => Array.from({ length: count }, () => loopback.host)
    return { a: loopback, b: loopback, separate: false, spread, close: () => {} }
  }
  removeStale()
  const number = ++serial
  const subnet = `10.77.${process.pid % 256}`
  const base = (number * 4) % 256
  const names = ['a', 'b'].map((side) => `pw-${process.pid}-${number}${side}`)
  const [nameA = '', nameB = ''] = names
  const close = () => {
    for (const name of names) attempt(['ip', 'netns', 'del', name])
  }
  try {
    for (const name of names) run(['ip', 'netns', 'add', name])
    run(['ip', '-n', nameA, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', nameB])
    const places = names.map((name, index): Place => {
      const host = `${subnet}.${base + 1 + index}`
      run(['ip', '-n', name, 'addr', 'add', `${host}/30`, 'dev', 'eth0'])
      run(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
      run(['ip', '-n', name, 'link', 'set', 'eth0', 'up'])
      return { host, enter: ['ip', 'netns', 'exec', name] }
    })
    const [a = loopback, b = loopback] = places
    const spread = (count: number, kind: 'private' | 'global' = 'private') => {
      const net = kind === 'private' ? '10.78' : '85.78'
      const hosts = Array.from(
        { length: count },
        (_, n) => `${net}.${n + 1}.${kind === 'private' ? 1 : n + 1}`
      )
      const lines = hosts.map((host) => `addr add ${host}/32 dev eth0\n`)
      run(['ip', '-n', nameA, '-batch', '-'], undefined, lines.join(''))
      run(['ip', '-n', nameB, 'route', 'add', `${net}.0.0/16`, 'via', a.host])
      return hosts
    }
    return { a, b, separate: true, spread, close }
  } catch (error) {
    close()
    throw error
  }
}

/** Removes namespaces that killed test runs have left behind. */
export function removeStale(): void {
  if (!existsSync('/run/netns')) return
  for (const name of readdirSync('/run/netns')) {
    const pid = /^pw-(\d+)-/.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) attempt(['ip', 'netns', 'del', name])
  }
}
