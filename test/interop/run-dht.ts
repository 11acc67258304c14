// Runs our DHT nodes in a process of their own, so that they can live in a network namespace:
// node run-dht.js '{"hosts":[…]}' prints one JSON line when they know each other, and then the first node's
// reports on the network.
import { DHT } from '../../lib/dht.ts'
import type { DhtReport, DhtTask } from './peers/dht-nodes.ts'

const { hosts } = JSON.parse(process.argv[2] ?? '') as DhtTask
const [firstHost = '127.0.0.1', ...others] = hosts
const first = new DHT({ host: firstHost, bootstrap: [] })
await first.ready
const bootstrap = [`${firstHost}:${first.ports[4]}`]
const nodes = [first, ...others.map((host) => new DHT({ host, bootstrap }))]
await Promise.all(nodes.map(({ ready }) => ready))
const say = (): void => {
  const report: DhtReport = {
    ports: nodes.map(({ ports }) => ports[4] ?? 0),
    sizes: nodes.map(({ size }) => size[4])
  }
  console.log(JSON.stringify(report))
}
say()
const timer = setInterval(say, 1000)

const close = async (): Promise<void> => {
  clearInterval(timer)
  await Promise.all(nodes.map((node) => node.close()))
}
process.on('SIGINT', close)
process.on('SIGTERM', close)
