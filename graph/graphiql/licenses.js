// Prints the licences of everything in assets/ that others wrote. Run by update.sh, in a folder
// where the packages are installed; its argument is the source map of graphiql.min.js.
const fs = require('fs');
const path = require('path');

const roots = ['node_modules', 'node_modules/@graphiql/plugin-explorer/node_modules'];

const nameIn = file => {
  const parts = file.split('node_modules/').pop().split('/');
  return parts[0].startsWith('@') ? parts[0] + '/' + parts[1] : parts[0];
};

const { sources } = JSON.parse(fs.readFileSync(process.argv[2]));
const packages = new Set(sources.filter(s => s.includes('node_modules/')).map(nameIn));
const workspace = ['graphiql', '@graphiql/react', '@graphiql/toolkit', '@graphiql/plugin-doc-explorer',
  '@graphiql/plugin-history', '@graphiql/plugin-explorer', 'codemirror-graphql', 'graphql-language-service'];
const others = ['graphiql-explorer', 'react', 'react-dom', 'graphql', '@fontsource/roboto', '@fontsource/fira-code'];
for (const name of [...workspace, ...others]) packages.add(name);

const holders = new Map(); // licence text -> packages under it
for (const name of [...packages].sort()) {
  const folder = roots.map(root => path.join(root, name)).find(fs.existsSync);
  if (!folder) throw new Error(`${name} is not installed: name it in update.sh`);
  const { license, author } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json')));
  const file = fs.readdirSync(folder).find(f => /^licen[cs]e/i.test(f));
  const text = file
    ? fs.readFileSync(path.join(folder, file), 'utf8').replace(/\r/g, '').trim()
    : `Published under the ${license} licence without a text of its own; author: ${author?.name || author || 'not named'}.`;
  holders.set(text, [...(holders.get(text) || []), `${name} (${license || 'see below'})`]);
}

console.log('What others wrote in assets/, and on what terms. Written by update.sh.\n');
for (const [text, names] of holders) {
  console.log(`\n${'='.repeat(80)}\n${names.join('\n')}\n${'-'.repeat(80)}\n${text}`);
}
