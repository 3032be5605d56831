// Shows the mails of the server. They come only with the session of the playground, whose
// half for pages is kept there (graph/graphiql/assets/playground.js).

const SESSION = 'roster:session';
const EVERY = 2000; // milliseconds

const element = id => document.getElementById(id);
let mails = [];
let chosen = null;

async function load() {
  const session = localStorage.getItem(SESSION);
  const response = await fetch('/dev/mail/messages', { method: 'POST', headers: session ? { 'Roster-Playground': session } : {} });
  if (response.status === 401) {
    throw new Error('This browser has no session of the playground, or it has ended. Open the link that the server prints at its start, and come back.');
  }
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}

function show(mail) {
  const changed = chosen !== mail.id;
  chosen = mail.id;
  element('mail').hidden = false;
  element('subject').textContent = mail.subject;
  element('about').textContent = `To ${mail.to}, ${new Date(mail.at).toLocaleString()}, ${mail.kind}`;
  element('code').hidden = !mail.code;
  element('code').textContent = mail.code ?? '';
  element('text').textContent = mail.text;
  if (changed) element('page').srcdoc = mail.html;
  for (const button of document.querySelectorAll('li button')) button.ariaCurrent = String(button.dataset.id === chosen);
}

function entry(mail) {
  const item = document.createElement('li');
  const button = document.createElement('button');
  const to = document.createElement('span');
  to.textContent = `${mail.to} · ${new Date(mail.at).toLocaleTimeString()}`;
  button.dataset.id = mail.id;
  button.append(mail.subject, to);
  button.addEventListener('click', () => show(mail));
  item.append(button);
  return item;
}

async function refresh() {
  try {
    const latest = await load();
    element('notice').textContent = latest.length ? '' : 'There are no mails yet.';
    if (latest[0]?.id !== mails[0]?.id) {
      mails = latest;
      element('list').replaceChildren(...mails.map(entry));
      show(mails.find(mail => mail.id === chosen) ?? mails[0]);
    }
  } catch (error) {
    element('notice').textContent = error.message;
  }
  setTimeout(refresh, EVERY);
}

refresh();
