// The rows of docs/recipes.md: web frameworks from npm, and the commands of its Dockerfile.
import { chmodSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { programOf, recipe, writeRecipes } from '../../scripts/recipes.mjs'

/** Returns the rows; Next.js is not among the packages, because its recipe is a function of a `Request`. */
export function recipeRows(context) {
  const { app, folder, run } = context
  const row = (name, title, ...packages) => {
    const cwd = path.join(folder, 'recipes', name.replaceAll(/\W+/g, '-'))
    return {
      name: `Recipe, ${name}`,
      packages,
      cwd,
      async program() {
        const programs = path.join(cwd, 'programs')
        writeRecipes(programs)
        await run(process.execPath, ['web-recipe.mjs', path.join(programs, programOf(title)), app])
      }
    }
  }
  return [
    row('Express 4', 'Express', 'express@4'),
    row('Express 5', 'Express', 'express@5'),
    row('Fastify 5', 'Fastify', 'fastify@5'),
    row('Hono 4', 'Hono', 'hono@4', '@hono/node-server@2'),
    row('Next.js, the route handler as a function', 'Next.js'),
    { name: 'Recipe, Docker', program: () => runDockerCommands(context) }
  ]
}

/** Installs the package as the Dockerfile does, and runs its entry point with the arguments of `docker run`. */
async function runDockerCommands({ folder, tarball, run, npm }) {
  const dockerfile = recipe('Docker', 'dockerfile')
  const [, install] = /^RUN npm (.*)$/m.exec(dockerfile)
  const [, entry] = /^ENTRYPOINT \["(.*)"\]$/m.exec(dockerfile)
  const commands = recipe('Docker', 'sh')
  const [, image] = /^docker build -t (\S+) \.$/m.exec(commands)
  const [, mounted] = / -v "\$PWD:(\S+)"/.exec(commands)
  const [, args] = new RegExp(`^docker run .* ${image} (.*)$`, 'm').exec(commands)
  const prefix = path.join(folder, 'docker')
  const packages = install.split(' ').map((word) => (word === 'piecewise' ? tarball : word))
  await run(npm, [...packages, '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel=error'])
  // The command runs as another user.
  chmodSync(folder, 0o755)
  const settings = path.join(folder, 'docker.json')
  writeFileSync(settings, JSON.stringify({ prefix, entry, mounted, args: args.split(' ') }))
  await run(process.execPath, ['docker-recipe.mjs', settings])
}
