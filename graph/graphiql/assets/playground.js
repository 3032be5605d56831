// Starts the playground: asks the server how, then draws GraphiQL.
//
// The rule that everything here keeps: a credential that somebody types lives in the page's memory
// only. It is in no storage, no address and no cached file, and it goes when the page goes. The
// page's half of a session is kept, so that reloading and coming back work; it counts only together
// with a cookie that no script can read.

const WELCOME = `# Welcome to the Roster playground.
#
#   Run        Ctrl-Enter, or the pink button
#   Complete   Ctrl-Space; hover for help
#   Browse     documentation and explorer: far left
#   Sign in    the link in the server's last line,
#              or a key under Headers, below:
#              { "Authorization": "Bearer …" }
#              They are forgotten with this page.
#
# The other tabs show more of what the API can do,
# and the list Examples, far left, has all of it.

`;

const NEW_TAB = '# Ctrl-Space completes, Ctrl-Enter runs.\n\n';

const SESSION = 'roster:session';

/** Exchanges the token of the printed link, if the address has one, for a session in this browser. */
async function openSession() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!token) return;
  history.replaceState(null, '', location.pathname + location.search);
  const response = await fetch('/graphiql/session', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  // A link that was used before does no harm in the browser that used it.
  if (response.ok) localStorage.setItem(SESSION, (await response.json()).session);
}

/** Asks the server for the endpoint and the examples. */
async function loadConfig() {
  const response = await fetch('/graphiql/config.json', { cache: 'no-store' });
  if (!response.ok) throw new Error(`The server answered ${response.status} ${response.statusText}.`);
  return response.json();
}

/**
 * Makes the function through which GraphiQL speaks to the API. It answers in GraphQL's own form
 * whatever happens, because that is what the answer pane shows; a thrown error would show a stack.
 */
function createFetcher(endpoint) {
  return async (params, { headers: typed } = {}) => {
    const session = localStorage.getItem(SESSION);
    let response;
    try {
      response = await fetch(endpoint, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/graphql-response+json',
          ...(session && { 'Roster-Playground': session }),
          ...typed,
        },
        body: JSON.stringify(params),
      });
    } catch (error) {
      return failure(`No answer from ${endpoint}: ${error.message}. Is the server running?`);
    }
    const text = await response.text();
    const named = Object.keys(typed ?? {}).some(name => name.toLowerCase() === 'authorization');
    if (response.status === 401 && !named) return failure(SIGN_IN, text);
    try {
      return JSON.parse(text);
    } catch {
      return failure(`${endpoint} answered ${response.status} ${response.statusText}, and not in JSON.`, text);
    }
  };
}

const SIGN_IN =
  'This browser has no session, or it has ended. Open the link that the server prints at its start, ' +
  'or put a key under Headers: { "Authorization": "Bearer …" }.';

const failure = (message, answer) => ({
  errors: [{ message, ...(answer && { extensions: { answer: answer.slice(0, 2000) } }) }],
});

/** Whether a text holds what may be a credential: an API key, a header, a password. */
const isSecret = text => /\brk_\w|\bbearer\s+[\w.-]{8}|password/i.test(text);

/**
 * The part of what GraphiQL stores that may be kept; null when nothing may. Its history records
 * headers even when it is told not to keep them: they are left out, and so is each entry with a
 * secret in it.
 */
function withoutSecrets(key, value) {
  const list = key.match(/:(queries|favorites)$/)?.[1];
  if (!list) return /:headers$/.test(key) || isSecret(value) ? null : value;
  const entries = JSON.parse(value)[list].map(entry => ({ ...entry, headers: undefined }));
  return JSON.stringify({ [list]: entries.filter(entry => !isSecret(JSON.stringify(entry))) });
}

/**
 * Makes GraphiQL's storage. Its choices, open tabs and history last as long as the browser's tab,
 * so that reloading keeps them. All of it is in memory; what has no secret in it is kept, too.
 */
function createStorage() {
  const memory = new Map();
  return {
    get length() {
      return memory.size + sessionStorage.length;
    },
    getItem: key => memory.get(key) ?? sessionStorage.getItem(key),
    setItem(key, value) {
      this.removeItem(key);
      const kept = withoutSecrets(key, value);
      if (kept !== value) memory.set(key, value);
      if (kept !== null) sessionStorage.setItem(key, kept);
    },
    removeItem(key) {
      memory.delete(key);
      sessionStorage.removeItem(key);
    },
    clear() {
      memory.clear();
      sessionStorage.clear();
    },
  };
}

/** How many examples are open at first; the list has the others. */
const OPEN = 4;

/** The tabs to open with: the first examples, the very first of which is greeted. */
function openingTabs(examples) {
  return examples.slice(0, OPEN).map(({ query, variables }, i) => ({
    query: i === 0 ? WELCOME + query : query,
    variables: variables || null,
  }));
}

/** The name of an example's operation, which is the title of its tab, in words. */
const titleOf = example => {
  const words = example.name.replaceAll('-', ' ');
  return words[0].toUpperCase() + words.slice(1);
};

/** The comment at the beginning of an example, without its signs. */
const commentOf = example => example.query.match(/^(#.*\n)+/)[0].replace(/^# ?/gm, '').trim();

/** Makes the list of all examples: a choice goes to the example's tab, and opens it if there is none. */
function examplesPlugin(examples) {
  const element = React.createElement;
  const Icon = () =>
    element(
      'svg',
      { viewBox: '0 0 24 24', fill: 'none', stroke: 'currentColor', strokeWidth: 1.5, 'aria-hidden': true },
      element('path', { d: 'M4 5h3M4 12h3M4 19h3M10 5h10M10 12h10M10 19h10' }),
    );
  function Content() {
    const editor = GraphiQL.React.useEditorContext({ nonNull: true });
    const { setVisiblePlugin } = GraphiQL.React.usePluginStore();
    const open = example => {
      if (matchMedia('(max-width: 700px)').matches) setVisiblePlugin(null); // it covers the editors there
      const at = editor.tabs.findIndex(tab => tab.query?.endsWith(example.query));
      if (at >= 0) return editor.changeTab(at);
      editor.addTab();
      setTimeout(() => { // the new tab has filled the editors with its own by then
        editor.queryEditor.setValue(example.query);
        editor.variableEditor?.setValue(example.variables);
      });
    };
    return element(
      'section',
      { 'aria-label': 'Examples', className: 'examples' },
      element('div', { className: 'graphiql-doc-explorer-title' }, 'Examples'),
      element(
        'ul',
        null,
        examples.map(example =>
          element(
            'li',
            { key: example.name },
            element(
              'button',
              { type: 'button', className: 'graphiql-un-styled', onClick: () => open(example) },
              element('strong', null, titleOf(example)),
              element('span', null, commentOf(example)),
            ),
          ),
        ),
      ),
    );
  }
  return { title: 'Examples', icon: Icon, content: Content };
}

async function start(root) {
  await openSession();
  const config = await loadConfig();
  const page = React.createElement(
    GraphiQL,
    {
      fetcher: createFetcher(config.endpoint),
      storage: createStorage(),
      shouldPersistHeaders: false,
      defaultQuery: NEW_TAB,
      defaultTabs: openingTabs(config.examples),
      defaultEditorToolsVisibility: 'variables',
      plugins: [examplesPlugin(config.examples), GraphiQLPluginExplorer.explorerPlugin()],
    },
    React.createElement(GraphiQL.Logo, null, 'Roster'),
  );
  ReactDOM.createRoot(root).render(page);
}

const root = document.getElementById('playground');
start(root).catch(error => {
  root.querySelector('.notice').textContent = `The playground could not start. ${error.message}`;
});
