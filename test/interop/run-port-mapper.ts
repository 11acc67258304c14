// Runs the port mapping of a client with long waits a thousandth of what they are, so that renewals can be seen:
// node run-port-mapper.js '{"port":…}'.
import { PortMapper } from '../../lib/nat/port-mapper.ts'
import { Network } from '../../lib/net/network.ts'
import { systemTimers } from '../../lib/util/timers.ts'

const { port } = JSON.parse(process.argv[2] ?? '') as { port: number }
const network = new Network()
const timers = {
  now: systemTimers.now,
  after: (ms: number, callback: () => void) => systemTimers.after(ms > 10_000 ? ms / 1000 : ms, callback)
}
const onChange = (status: unknown): void => console.log(JSON.stringify({ status }))
const mapper = new PortMapper({ network, port, udp: true, timers, onChange })
process.once('SIGTERM', async () => {
  await mapper.close()
  await network.close()
})
