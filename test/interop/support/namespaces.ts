// Two network namespaces joined by a cable, because some programs dial no loopback address.
import { existsSync, readdirSync } from 'node:fs'
import { attempt, loopback, type Place, run, which } from './process.ts'

/** Two places that reach each other, and how to give them back. */
export interface Places {
  readonly a: Place
  readonly b: Place
  /** Whether these are namespaces; if not, both are loopback. */
  readonly separate: boolean
  close(): void
}

let serial = 0

/** Whether this process may make network namespaces. */
export function namespacesPossible(): boolean {
  return (
    process.getuid?.() === 0 && which('ip') !== undefined && attempt(['ip', 'netns', 'list']).status === 0
  )
}

/** Two namespaces joined by a veth pair when that is possible, else loopback twice. */
export function openPlaces(): Places {
  if (!namespacesPossible()) return { a: loopback, b: loopback, separate: false, close: () => {} }
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
    return { a, b, separate: true, close }
  } catch (error) {
    close()
    throw error
  }
}

/** Removes what test runs that were killed have left behind. */
export function removeStale(): void {
  if (!existsSync('/run/netns')) return
  for (const name of readdirSync('/run/netns')) {
    const pid = /^pw-(\d+)-/.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) attempt(['ip', 'netns', 'del', name])
  }
}
