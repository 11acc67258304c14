// Refuses to publish a package without the real addresses of its code, issues and page, or whose version has no section in CHANGELOG.md.
import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const changes = readFileSync(new URL('../CHANGELOG.md', import.meta.url), 'utf8')
/** Reserved names (RFC 2606) stand in package.json until the project has an address. */
const isReal = (field) => field !== undefined && !/\.(?:example|invalid|test)\b/.test(JSON.stringify(field))
const faults = ['repository', 'bugs', 'homepage']
  .filter((name) => !isReal(manifest[name]))
  .map((name) => `'${name}' of package.json is no address of this project: set it`)
if (!changes.includes(`## ${manifest.version}`))
  faults.push(`CHANGELOG.md has no section '## ${manifest.version}'`)
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0
