import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostOfUrl, serverName } from '../../lib/net/url-host.ts'

test('a name for messages contains no passkey', () => {
  assert.equal(
    serverName(new URL('http://me:pw@t.example:81/secret/announce?passkey=x')),
    'http://t.example:81'
  )
})

test('a host is in socket form: without brackets, names in ASCII', () => {
  const hosts: Record<string, string> = {
    'http://tracker.example/announce': 'tracker.example',
    'http://[2001:DB8::1]:81/': '2001:db8::1',
    'udp://b%C3%BCcher.example:1': 'xn--bcher-kva.example',
    'udp://%ff:1': ''
  }
  for (const [text, host] of Object.entries(hosts)) assert.equal(hostOfUrl(new URL(text)), host, text)
})
