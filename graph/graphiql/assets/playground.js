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
# The other tabs show more of what the API can do.

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

/**
 * Makes GraphiQL's storage. Its choices and open tabs last as long as the browser's tab, so that
 * reloading keeps them. Whatever may hold a credential stays in memory: headers, the history
 * (which records headers even when GraphiQL is told not to keep them), and any text with an API
 * key or a password in it.
 */
function createStorage() {
  const memory = new Map();
  const isSecret = (key, value) =>
    /:(headers|queries|favorites)$/.test(key) || /\brk_\w|\bbearer\s+[\w.-]{8}|password/i.test(value);
  return {
    get length() {
      return memory.size + sessionStorage.length;
    },
    getItem: key => memory.get(key) ?? sessionStorage.getItem(key),
    setItem(key, value) {
      this.removeItem(key);
      if (isSecret(key, value)) memory.set(key, value);
      else sessionStorage.setItem(key, value);
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

/** The tabs to open with: the examples, the first of which is greeted. */
function openingTabs(examples) {
  const tabs = examples.length > 0 ? examples : [{ query: NEW_TAB }];
  return tabs.map(({ query, variables }, i) => ({
    query: i === 0 ? WELCOME + query : query,
    variables: variables || null,
  }));
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
      defaultTabs: openingTabs(config.examples ?? []),
      defaultEditorToolsVisibility: 'variables',
      plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    },
    React.createElement(GraphiQL.Logo, null, 'Roster'),
  );
  ReactDOM.createRoot(root).render(page);
}

const root = document.getElementById('playground');
start(root).catch(error => {
  root.querySelector('.notice').textContent = `The playground could not start. ${error.message}`;
});
