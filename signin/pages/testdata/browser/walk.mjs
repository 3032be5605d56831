// Walks through the pages in Chromium, with scripts switched off, by keyboard and pointer:
//
//   node walk.mjs <base address> <chromium> <true for the long way> [folder for screenshots]
//
// It ends with an error if a page does not show what it should, if the console has a
// message, or if axe finds something serious. browser_test.go serves the pages, the codes
// at /test/code, the administrator at /test/ask, and a page at /test/app that browsers are
// sent back to.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [base, executablePath, long, shots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const password = 'correct horse battery staple';
const looks = [
  { width: 400, height: 800, colorScheme: 'light' }, { width: 1280, height: 800, colorScheme: 'dark' },
  ...(shots ? [{ width: 1280, height: 800, colorScheme: 'light' }, { width: 400, height: 800, colorScheme: 'dark' }] : []),
];
const faults = [];

const browser = await chromium.launch({ executablePath, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });

// open returns a page of a browser that has no cookies yet.
async function open() {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  page.on('console', message => {
    // Chromium reports the statuses of refused forms.
    if (!/Failed to load resource: the server responded with a status of (4\d\d)/.test(message.text())) {
      faults.push(`${page.url()}: the console says ${message.text()}`);
    }
  });
  // A page that leads to another one at once does not wait for its icon.
  page.on('requestfailed', request => request.failure().errorText === 'net::ERR_ABORTED' || faults.push(`${page.url()}: ${request.url()} failed: ${request.failure().errorText}`));
  return page;
}

// inspector runs axe, which needs scripts, on copies of what the pages show. They are written
// into one document: to navigate costs more than to inspect.
const inspector = await (await browser.newContext()).newPage();
await inspector.goto(`${base}/test/app`);
await inspector.evaluate(axe);

// inspected has the outlines of the pages that axe has seen: it finds nothing else in one that
// differs in texts only.
const inspected = new Set();
const outline = html => html.replace(/>[^<]+</g, '><').replace(/ (?:value|href|action|datetime)="[^"]*"/g, '');

// look checks the page of that title in all looks, and takes pictures.
async function look(page, title, name) {
  const got = await page.title();
  if (got !== `${title} – Example`) throw new Error(`${page.url()} has the title ${got}, not ${title}`);
  const copy = await page.content();
  const isNew = !inspected.has(outline(copy));
  inspected.add(outline(copy));
  if (isNew) await inspector.setContent(copy);
  for (const [i, { width, height, colorScheme }] of looks.entries()) {
    for (const one of isNew ? [page, inspector] : [page]) {
      await one.setViewportSize({ width, height });
      await one.emulateMedia({ colorScheme });
    }
    if (shots) await page.screenshot({ path: `${shots}/${name}-${width}-${colorScheme}.png`, fullPage: true });
    const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    if (wide > 0) faults.push(`${name}: ${wide} pixels too wide at ${width}`);
    if (!isNew) continue;
    // In the other looks, only the answers of these rules can differ.
    const rules = i === 0 ? '' : "{ runOnly: ['color-contrast', 'target-size'] }";
    const { violations } = await inspector.evaluate(`axe.run(${rules})`);
    for (const one of violations) {
      faults.push(`${name}, ${width} ${colorScheme}: ${one.impact} ${one.id}: ${one.nodes.map(node => node.html + ' ' + node.failureSummary).join('; ')}`);
    }
  }
}

// fill types into fields by their labels, and sends the form by the Enter key.
async function fill(page, fields) {
  let last;
  for (const [label, value] of Object.entries(fields)) {
    last = page.getByLabel(label, { exact: true });
    await last.fill(value);
  }
  await Promise.all([page.waitForNavigation(), last.press('Enter')]);
}

const press = (page, role, name) => Promise.all([page.waitForNavigation(), page.getByRole(role, { name, exact: true }).click()]);

// code waits for the n-th mail to the address, and returns its code.
async function code(to, n) {
  for (let tries = 0; tries < 600; tries++) {
    const text = await (await fetch(`${base}/test/code?to=${encodeURIComponent(to)}&n=${n}`)).text();
    if (text !== '') return text;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error(`${to} got no mail`);
}

// ask carries out a mutation of the administrator.
async function ask(mutation) {
  const answer = await fetch(`${base}/test/ask`, { method: 'POST', body: `mutation { ${mutation} }` });
  if (!answer.ok) throw new Error(`${mutation}: ${await answer.text()}`);
}

const focused = page => page.evaluate('document.activeElement.className || document.activeElement.id');

async function is(page, what, got, want) {
  if (await got !== want) throw new Error(`${page.url()}: ${what} is ${await got}, not ${want}`);
}

// Somebody signs up, with mistakes at first, and signs out.
async function signUp() {
  const page = await open();
  await page.goto(`${base}/signin`);
  await is(page, 'the focus', focused(page), 'account');
  await look(page, 'Sign in', 'sign-in');
  await fill(page, { 'Email address or username': 'nobody@example.com', Password: 'wrong' });
  await is(page, 'the focus', focused(page), 'problems');
  await is(page, 'what was typed', page.getByLabel('Email address or username').inputValue(), 'nobody@example.com');
  await look(page, 'Error: Sign in', 'sign-in-wrong');
  await press(page, 'link', 'Create an account');
  await look(page, 'Create an account', 'sign-up');
  await fill(page, { 'Email address': 'grace@example.com', 'Password (optional)': 'short' });
  await look(page, 'Error: Create an account', 'sign-up-wrong');
  await press(page, 'link', await page.locator('.problems a').innerText());
  await is(page, 'the focus', focused(page), 'password');
  await fill(page, { 'Given name (optional)': 'Grace', 'Password (optional)': password });
  await look(page, 'Enter the code', 'code');
  await fill(page, { 'Code of 8 digits': '00000000' });
  await look(page, 'Error: Enter the code', 'code-wrong');
  await fill(page, { 'Code of 8 digits': await code('grace@example.com', 1) });
  await look(page, 'Your account', 'account-new');
  await press(page, 'button', 'Sign out');
  await look(page, 'Sign in', 'signed-out');
}

// Somebody who has forgotten the password sets a new one, signs in from an application,
// chooses an organization, and is sent back.
async function reset() {
  const page = await open();
  await page.goto(`${base}/signin`);
  await press(page, 'link', 'Forgotten your password?');
  await look(page, 'Forgotten password', 'forgotten');
  await fill(page, { 'Email address': 'ada@example.com' });
  await look(page, 'Set a new password', 'reset');
  await fill(page, { 'Code of 8 digits': await code('ada@example.com', 1), 'New password': password });
  await look(page, 'Sign in', 'reset-done');
  const app = new URL('/test/app?x=1', base);
  app.hostname = 'localhost'; // another origin than base has
  await page.goto(`${base}/signin?return_to=${encodeURIComponent(app)}`);
  await fill(page, { 'Email address or username': 'ada@example.com', Password: password });
  await look(page, 'Choose an organization', 'chooser');
  await press(page, 'button', 'Acme');
  await is(page, 'the address', page.url(), app.href);
  return page;
}

// The person signs in elsewhere, looks after the account, and ends the other session.
async function account(other) {
  const page = await open();
  await page.goto(`${base}/signin/account/profile`);
  await fill(page, { 'Email address or username': 'ada@example.com', Password: password });
  await press(page, 'button', 'Acme');
  await look(page, 'Edit your profile', 'profile');
  await fill(page, { 'Phone number': '12' });
  await look(page, 'Error: Edit your profile', 'profile-wrong');
  await fill(page, { 'Given name': 'Ada', 'Family name': 'Lovelace', 'Phone number': '+49 30 123456' });
  await look(page, 'Your account', 'account');
  await press(page, 'button', 'Switch to Default');
  await press(page, 'link', 'Change your email address');
  await look(page, 'Change your email address', 'email');
  await fill(page, { 'New email address': 'ada@example.org' });
  await look(page, 'Enter the code', 'email-code');
  await fill(page, { 'Code of 8 digits': await code('ada@example.org', 1) });
  await press(page, 'link', 'Change your password');
  await look(page, 'Change password', 'password');
  await page.goto(`${base}/signin/account`);
  await press(page, 'link', 'Leave Acme');
  await look(page, 'Leave Acme?', 'leave');
  await page.goto(`${base}/signin/account`);
  await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: /^End the session of/ }).click()]);
  await look(page, 'Your account', 'session-ended');
  await other.goto(`${base}/signin/account`);
  await look(other, 'Sign in', 'ended-elsewhere');
  await page.goto(`${base}/signin/nothing`);
  await look(page, 'Page not found', 'not-found');
  await page.goto(`${base}/signin/continue`);
  await look(page, 'This took too long', 'expired');
}

// An administrator sets a password for the person, closes the business, and suspends the
// person in the end.
async function administered() {
  const page = await open();
  const temporary = 'a password for one time';
  const user = '{email: "ada@example.org"}';
  await ask(`setTemporaryPassword(input: {user: ${user}, password: "${temporary}"}) { user { id } }`);
  await page.goto(`${base}/signin`);
  await fill(page, { 'Email address or username': 'ada@example.org', Password: temporary });
  await look(page, 'Choose a new password', 'temporary');
  await fill(page, { 'New password': temporary });
  await look(page, 'Error: Choose a new password', 'temporary-again');
  await fill(page, { 'New password': password });
  await look(page, 'Choose an organization', 'temporary-replaced');
  await ask('updateSettings(input: {allowSelfSignUp: false}) { settings { allowSelfSignUp } }');
  await page.goto(`${base}/signin/signup`);
  await look(page, 'Error: By invitation only', 'closed');
  await ask(`suspendUser(input: {user: ${user}}) { user { id } }`);
  await page.goto(`${base}/signin`);
  await fill(page, { 'Email address or username': 'ada@example.org', Password: password });
  await look(page, 'Error: Sign in', 'suspended');
}

// People accept invitations: somebody new by a mail, somebody new by a link, and somebody who
// has an account.
async function invitations() {
  const invite = async (page, to, mailed) => page.goto(`${base}${await (await fetch(`${base}/test/invitation?to=${encodeURIComponent(to)}&mailed=${mailed}`)).text()}`);
  const page = await open();
  await invite(page, 'mary@example.com', true);
  const used = page.url();
  await look(page, 'You are invited to Acme', 'invited');
  await fill(page, { 'Family name (optional)': 'Jackson', 'Password (optional)': 'short' });
  await look(page, 'Error: You are invited to Acme', 'invited-wrong');
  await fill(page, { 'Password (optional)': password });
  await look(page, 'Your account', 'invited-account');
  await page.goto(used);
  await look(page, 'This invitation is not valid', 'invitation-used');
  await invite(page, 'annie@example.com', true);
  await look(page, 'You are signed in with another account', 'invited-another');
  const other = await open();
  await invite(other, 'dorothy@example.com', false);
  await look(other, 'You are invited to Acme', 'invited-by-link');
  await press(other, 'button', 'Continue');
  await look(other, 'Enter the code', 'invited-code');
  await fill(other, { 'Code of 8 digits': await code('dorothy@example.com', 1) });
  await look(other, 'Your account', 'invited-by-link-account');
  await press(other, 'button', 'Sign out');
  await invite(other, 'grace@example.com', true);
  await look(other, 'You are invited to Acme', 'invited-with-account');
  await press(other, 'button', 'Accept');
  await look(other, 'Your account', 'invited-joined');
}

// Somebody signs up and in by a provider.
async function provider() {
  const page = await open();
  const there = async name => {
    await page.getByLabel('Username:').fill(name);
    await page.getByLabel('Password:').fill('verysecure');
    await page.getByLabel('Password:').press('Enter');
    await page.waitForURL(`${base}/**`);
  };
  await page.goto(`${base}/signin`);
  await press(page, 'link', 'Continue with Zitadel');
  await there('test-user@127.0.0.1');
  await look(page, 'Enter the code', 'provider-code');
  await fill(page, { 'Code of 8 digits': await code('test-user@zitadel.ch', 1) });
  await look(page, 'Your account', 'provider-account');
  await is(page, 'the name', page.locator('dd').first().innerText(), 'Test User');
  await press(page, 'button', 'Sign out');
  await press(page, 'link', 'Continue with Zitadel');
  await there('test-user@127.0.0.1');
  await look(page, 'Your account', 'provider-again');
  await page.goto(`${base}/signin/zitadel/callback?code=x&state=x`);
  await look(page, 'This took too long', 'provider-expired');
  await page.goto(`${base}/signin/unknown`);
  await look(page, 'Page not found', 'provider-unknown');

  // Somebody who has a password links it.
  const other = await open();
  await other.goto(`${base}/signin/zitadel/link`);
  await fill(other, { 'Email address or username': 'grace@example.com', Password: password });
  await look(other, 'Sign in with Zitadel from now on?', 'provider-link');
  await Promise.all([other.waitForURL('**/login/**'), other.getByRole('button', { name: 'Continue to Zitadel' }).click()]);
  await other.getByLabel('Username:').fill('test-user2');
  await other.getByLabel('Password:').fill('verysecure');
  await other.getByLabel('Password:').press('Enter');
  await other.waitForURL(`${base}/**`);
  await look(other, 'Your account', 'provider-linked');
  await press(other, 'button', 'Remove Zitadel');
  await look(other, 'Your account', 'provider-unlinked');
  await other.goto(`${base}/signin`);
}

setTimeout(() => { console.error('it takes too long'); process.exit(1); }, 540_000).unref();
try {
  await signUp();
  await account(await reset());
  if (long === 'true') {
    await provider();
    await administered();
    await invitations();
  }
} catch (fault) {
  faults.push(fault.stack);
}
await browser.close();
if (faults.length > 0) {
  console.error([...new Set(faults)].join('\n'));
  process.exit(1);
}
