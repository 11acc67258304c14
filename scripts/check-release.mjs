// Refuses to publish a package that does not tell where its code, its issues and its page are, or whose version has no entry in CHANGELOG.md.
import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const changes = readFileSync(new URL('../CHANGELOG.md', import.meta.url), 'utf8')
const missing = ['repository', 'bugs', 'homepage'].filter((field) => manifest[field] === undefined)
const faults = missing.map((field) => `package.json has no '${field}': set it to the address of this project`)
if (!changes.includes(`## ${manifest.version}`))
  faults.push(`CHANGELOG.md has no section '## ${manifest.version}'`)
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0
