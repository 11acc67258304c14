import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { externalAddressIn, formatSoap, parseDescription, parseSoap } from '../../lib/nat/igd.ts'
import { parseSsdp } from '../../lib/nat/ssdp.ts'
import { root } from '../fuzz/store.ts'

const url = new URL('http://10.91.0.1:5000/rootDesc.xml')
const real = (name: string): Buffer => readFileSync(path.join(root, 'test/fuzz/corpus', `${name}.bin`))
const service = (control: string, type = 'urn:schemas-upnp-org:service:WANIPConnection:1'): string =>
  `<service><serviceType>${type}</serviceType><controlURL>${control}</controlURL></service>`
const controls = (text: string): string[] | undefined =>
  parseDescription(Buffer.from(text), url)?.map(({ control }) => control.href)

test('the search answer and the description of miniupnpd are read', () => {
  assert.equal(parseSsdp(real('ssdp/miniupnpd'), '10.91.0.1')?.href, url.href)
  assert.deepEqual(
    parseDescription(real('igd/miniupnpd-description'), url)?.map(({ type, control }) => [
      type,
      control.href
    ]),
    [['urn:schemas-upnp-org:service:WANIPConnection:2', 'http://10.91.0.1:5000/ctl/IPConn']]
  )
})

test('the answers of miniupnpd are read', () => {
  const address = parseSoap(real('igd/miniupnpd-soap-address'), 'GetExternalIPAddress')
  assert.ok(address !== undefined)
  assert.equal(externalAddressIn(address), '85.78.0.1')
  assert.equal(parseSoap(real('igd/miniupnpd-soap-add'), 'AddPortMapping')?.fault, undefined)
  assert.equal(parseSoap(real('igd/miniupnpd-soap-fault'), 'AddPortMapping')?.fault, 606)
  const entry = parseSoap(real('igd/miniupnpd-soap-entry'), 'GetSpecificPortMappingEntry')
  assert.equal(entry?.values.get('newinternalclient'), '10.91.0.2')
  assert.equal(parseSoap(real('igd/miniupnpd-soap-add'), 'DeletePortMapping'), undefined)
})

test('a search answer is long enough, successful, and points to its sender', () => {
  const parse = (text: string): string | undefined => parseSsdp(Buffer.from(text), '10.91.0.1')?.href
  const ok = 'HTTP/1.1 200 OK\r\nLocation: http://10.91.0.1:80/a\r\n\r\n'
  assert.equal(parse(ok), 'http://10.91.0.1/a')
  assert.equal(parse(ok.replace('200', '404')), undefined)
  assert.equal(parse(ok.replace('HTTP/1.1 200 OK', 'NOTIFY * HTTP/1.1')), undefined)
  assert.equal(parse(ok.replace('10.91.0.1', '10.91.0.2')), undefined)
  assert.equal(parse(`${ok}${' '.repeat(2048)}`), undefined)
})

test('a control URL is relative to URLBase or to the description, and stays at the host', () => {
  assert.deepEqual(controls(`<root>${service('ctl')}</root>`), ['http://10.91.0.1:5000/ctl'])
  assert.deepEqual(controls(`<root><URLBase>http://10.91.0.1:99/b/</URLBase>${service('ctl')}</root>`), [
    'http://10.91.0.1:99/b/ctl'
  ])
  assert.deepEqual(controls(`<root><URLBase>http://10.91.0.9/</URLBase>${service('/ctl')}</root>`), [
    'http://10.91.0.1:5000/ctl'
  ])
  for (const away of ['http://10.91.0.9/ctl', '//127.0.0.1/ctl', 'https://10.91.0.1/ctl', 'ftp://10.91.0.1/'])
    assert.deepEqual(controls(`<root>${service(away)}</root>`), [])
})

test('services of other kinds, and more than four, are left out', () => {
  const other = service('x', 'urn:schemas-upnp-org:service:Layer3Forwarding:1')
  const ppp = service('ppp', 'urn:schemas-upnp-org:service:WANPPPConnection:1')
  assert.deepEqual(controls(`<root>${other}${ppp}</root>`), ['http://10.91.0.1:5000/ppp'])
  assert.equal(controls(`<root>${ppp.repeat(9)}</root>`)?.length, 4)
})

test('a request has no white space between its arguments, and escapes them', () => {
  const text = formatSoap('urn:a&b', 'Act', { NewRemoteHost: '', NewExternalPort: 6881, NewText: '<&>"' })
  assert.match(
    text,
    /<u:Act xmlns:u="urn:a&amp;b"><NewRemoteHost><\/NewRemoteHost><NewExternalPort>6881<\/NewExternalPort><NewText>&lt;&amp;&gt;&quot;<\/NewText><\/u:Act>/
  )
})
