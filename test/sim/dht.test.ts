import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DhtScenario, measureDht } from './dht.ts'

const cases: readonly (DhtScenario & { readonly least: number })[] = [
  { name: '30 % churn', dead: 0.3, hostile: 0, malice: 'none', least: 1 },
  { name: '20 % poison', dead: 0, hostile: 0.2, malice: 'poison', least: 1 },
  { name: '30 % churn, 20 % eclipse', dead: 0.3, hostile: 0.2, malice: 'eclipse', least: 0.9 },
  { name: '200 % an hour, 20 % hostile', dead: 0, hostile: 0.2, malice: 'both', exchanged: 2, least: 0.9 }
]

for (const { least, ...scenario } of cases) {
  test(`in a network of 3,000 nodes, ${scenario.name}: an announced peer is found in 6 hops at most`, async () => {
    const { success, mostHops, meanHops } = await measureDht(3000, scenario, { hashes: 5, looks: 2 })
    assert.ok(success >= least, `${success} found`)
    assert.ok(meanHops > 1 && mostHops <= 6, `${meanHops} and ${mostHops} hops`)
  })
}

test('measurements while nodes come and go depend on the seed alone', async () => {
  const scenario: DhtScenario = { name: '', dead: 0, hostile: 0.2, malice: 'both', exchanged: 1 }
  const [one, two] = [
    await measureDht(500, scenario, { hashes: 4, looks: 1 }),
    await measureDht(500, scenario, { hashes: 4, looks: 1 })
  ]
  assert.deepEqual(one, two)
})
