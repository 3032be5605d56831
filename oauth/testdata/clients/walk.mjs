// Signs a person in to applications with the snippets of docs/applications.md, in Chromium
// and in Node:
//
//   node walk.mjs <settings as JSON>
//
// It ends with an error if one of them does not do what it should. clients_test.go serves
// Roster, and the application's site at another origin.
import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { chromium } from 'playwright-core';

const settings = JSON.parse(process.argv[2]);
const { begin, discover, finish } = await import(`${settings.folder}/server.mjs`);
const { signIn } = await import(`${settings.folder}/native.mjs`);
const { machineToken } = await import(`${settings.folder}/machine.mjs`);
const insecure = { execute: [client.allowInsecureRequests] };
const keys = createRemoteJWKSet(new URL(`${settings.issuer}/.well-known/jwks.json`));

const browser = await chromium.launch({ executablePath: settings.chromium, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
const faults = [];

async function open() {
  const page = await (await browser.newContext()).newPage();
  page.on('console', message => faults.push(`${page.url()}: ${message.text()}`));
  page.on('pageerror', error => faults.push(`${page.url()}: ${error}`));
  return page;
}

async function fill(page) {
  await page.fill('[name=account]', settings.email);
  await page.fill('[name=password]', settings.password);
  await page.click('button.main');
  await page.getByRole('button', { name: 'Acme' }).click();
}

async function verify(token, audience) {
  const { payload } = await jwtVerify(token, keys, { issuer: settings.issuer, audience, typ: 'at+jwt', algorithms: ['ES256'] });
  return payload;
}

// A page of another site.
{
  const page = await open();
  await page.goto(`${settings.app}/spa.html`);
  await page.waitForFunction("document.title === 'Ready'");
  await Promise.all([page.waitForURL(url => url.pathname === '/signin'), page.evaluate('void app.signIn()')]);
  await fill(page);
  await page.waitForURL(url => url.pathname === '/callback.html');
  await page.waitForFunction("document.title === 'Ready'");
  const user = await page.evaluate('app.signedIn()');
  assert.equal(user.profile.email, settings.email);
  assert.equal((await verify(user.access_token, settings.api)).org_code, 'acme');
  const renewed = await page.evaluate('app.renew()');
  assert.notEqual(renewed.access_token, user.access_token);
  assert.notEqual(renewed.refresh_token, user.refresh_token);
  const info = await page.evaluate(`fetch('${settings.issuer}/oauth/userinfo', { headers: { Authorization: 'Bearer ${renewed.access_token}' } }).then(answer => answer.json())`);
  assert.equal(info.sub, user.profile.sub);
  // Signed in once, another application needs no password.
  await Promise.all([page.waitForURL(url => url.pathname === '/callback.html' && url.search.includes('code=')), page.evaluate("void app.signIn('acme')")]);
  await page.waitForFunction("document.title === 'Ready'");
  await page.evaluate('app.signedIn()');
  await Promise.all([page.waitForURL(`${settings.app}/bye.html*`), page.evaluate('void app.signOut()')]);
  await page.goto(`${settings.issuer}/signin/account`);
  assert.equal(new URL(page.url()).pathname, '/signin');
}

// An application on a server.
{
  const page = await open();
  const config = await discover(settings.issuer, settings.web.id, settings.web.secret, insecure);
  const session = {};
  await page.goto((await begin(config, `${settings.app}/callback.html`, session)).href);
  await fill(page);
  await page.waitForURL(url => url.pathname === '/callback.html');
  const tokens = await finish(config, new URL(page.url()), session);
  assert.equal(tokens.claims().email, settings.email);
  assert.equal((await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)).email, settings.email);
  const again = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal((await client.tokenIntrospection(config, again.access_token)).active, true);
  await client.tokenRevocation(config, again.refresh_token);
  assert.equal((await client.tokenIntrospection(config, again.access_token)).active, false);
  await page.goto(client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: `${settings.app}/bye.html` }).href);
  assert.equal(page.url(), `${settings.app}/bye.html`);
}

// A native application.
{
  const page = await open();
  const tokens = await signIn(settings.issuer, settings.native.id, async url => { await page.goto(url.href); await fill(page); }, insecure);
  assert.equal(tokens.claims().email, settings.email);
}

// A machine.
{
  const payload = await verify(await machineToken(settings.issuer, settings.machine.id, settings.machine.secret, settings.api, insecure), settings.api);
  assert.deepEqual([payload.sub, payload.permissions], [settings.machine.id, ['invoices:read']]);
}

await browser.close();
// Chromium asks for an icon of the applications, which have none, or have gone.
assert.deepEqual(faults.filter(fault => !/Failed to load resource/.test(fault)), []);
