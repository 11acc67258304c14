// Everything that a network namespace sends, as seen below it.
import { until } from '../../support/until.ts'
import { systemPython } from './need.ts'
import { type Place, type Running, start } from './process.ts'

/** A packet that left, on any interface, loopback included. */
export interface Packet {
  /** `tcp`, `udp`, `igmp`, or the number of another protocol that is not the system's own housekeeping. */
  readonly protocol: string
  readonly to: string
  /** 0 for protocols without ports. */
  readonly fromPort: number
  readonly toPort: number
  /** Its content in hexadecimal. */
  readonly body: string
}

/** A running capture. */
export interface Capture extends Running {
  readonly packets: readonly Packet[]
}

/** Requirements of a capture. */
export const captureNeeds: readonly string[] = ['namespaces', 'python3:socket']

// Node opens no packet sockets. The system's own packets are left out: ARP (no IP), neighbour and router
// discovery, reports of IPv6 groups that it joins for its addresses (ICMPv6 130 to 143), and the header
// before those reports; and replies that a late answer's port is closed (ICMP 3, ICMPv6 1).
const program = `
import json, socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
print('ready', flush=True)
names = {6: 'tcp', 17: 'udp', 2: 'igmp'}
while True:
    data, address = s.recvfrom(65535)
    if address[2] != 4: continue
    if data[0] >> 4 == 4:
        protocol, to, rest = data[9], socket.inet_ntop(socket.AF_INET, data[16:20]), data[(data[0] & 15) * 4:]
    elif data[0] >> 4 == 6:
        protocol, to, rest = data[6], socket.inet_ntop(socket.AF_INET6, data[24:40]), data[40:]
        if protocol == 0 and len(rest) > 8: protocol, rest = rest[0], rest[8 * (rest[1] + 1):]
        if protocol == 58 and (rest[0] == 1 or 130 <= rest[0] <= 143): continue
    else: continue
    if protocol == 1 and rest[0] == 3: continue
    ports = struct.unpack('!HH', rest[:4]) if protocol in (6, 17) else (0, 0)
    body = rest[8:] if protocol == 17 else rest[(rest[12] >> 4) * 4:] if protocol == 6 else rest
    print(json.dumps({'protocol': names.get(protocol, str(protocol)), 'to': to, 'fromPort': ports[0], 'toPort': ports[1],
                      'body': body.hex()}), flush=True)
`

/** A message to one address: a datagram, or everything sent through one connection. */
export interface Utterance extends Omit<Packet, 'body'> {
  /** One character per byte. */
  readonly text: string
}

/**
 * Returns the contents of the packets. Packets of a connection are joined, because a searched text may span
 * two of them.
 */
export function utterances(packets: readonly Packet[]): Utterance[] {
  const connections = new Map<string, Packet[]>()
  for (const [index, packet] of packets.entries()) {
    const { protocol, to, fromPort, toPort } = packet
    const key = protocol === 'tcp' ? `${fromPort} ${to} ${toPort}` : `${index}`
    const same = connections.get(key)
    if (same === undefined) connections.set(key, [packet])
    else same.push(packet)
  }
  return [...connections.values()].flatMap((same) => {
    const text = Buffer.from(same.map(({ body }) => body).join(''), 'hex').toString('latin1')
    return same.slice(0, 1).map(({ body: _, ...rest }) => ({ ...rest, text }))
  })
}

/** Captures everything sent in a namespace, from the moment when this resolves. */
export async function startCapture(place: Place): Promise<Capture> {
  const packets: Packet[] = []
  let ready = false
  const running = start('capture', [systemPython, '-u', '-c', program], {
    place,
    onLine: (line) => {
      if (line === 'ready') ready = true
      else if (line.startsWith('{')) packets.push(JSON.parse(line) as Packet)
    }
  })
  await until('the capture to begin', () => ready, { programs: [running], everyMs: 20 })
  return { ...running, packets }
}
