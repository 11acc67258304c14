import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultWireLimits } from '../../lib/wire/limits.ts'
import { RepeatedMessages } from '../../lib/wire/repeated-messages.ts'

const { bulkMessages, bulkMessageMs, chokes, chokeMs, extendedHandshakes, extendedHandshakeMs } =
  defaultWireLimits

/** How many of a kind come at once, and the milliseconds between those that follow. */
const kinds: [
  what: string,
  most: number,
  forgivenMs: number,
  burst: number,
  everyMs: number,
  ends: boolean
][] = [
  ['bitfields, five a minute', bulkMessages, bulkMessageMs, 3, 12_000, false],
  ['bitfields, one a second', bulkMessages, bulkMessageMs, 1, 1000, true],
  ['bitfields at once', bulkMessages, bulkMessageMs, 9, 1, true],
  ['chokes of a client that chooses every 10 s', chokes, chokeMs, 1, 10_000, false],
  ['chokes of a client that reaches its own limit every second', chokes, chokeMs, 10, 1000, false],
  ['chokes without pause', chokes, chokeMs, 1, 1, true],
  ['extended handshakes, one a second', extendedHandshakes, extendedHandshakeMs, 1, 1000, false],
  ['extended handshakes without pause', extendedHandshakes, extendedHandshakeMs, 1, 1, true]
]
for (const [what, most, forgivenMs, burst, everyMs, ends] of kinds) {
  test(`${what} ${ends ? 'are too many' : 'are not too many'}`, () => {
    const count = new RepeatedMessages(most, forgivenMs)
    let within = true
    for (let n = 0; n < burst; n++) within = count.add(1e6) && within
    for (let n = 1; n < 10_000; n++) within = count.add(1e6 + n * everyMs) && within
    assert.equal(within, !ends)
  })
}
