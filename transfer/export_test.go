package transfer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db/dbtest"
	"roster/graph/graphtest"
	"roster/problem"
	"roster/secret"
	"roster/transfer"
)

// peopleSeed has what a file can say, and what it cannot.
const peopleSeed = `mutation {
	p: createPermission(input: {key: "invoices:read"}) { permission { id } }
	w: createPermission(input: {key: "invoices:write"}) { permission { id } }
	c: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
	v: createRole(input: {key: "auditor"}) { role { id } }
	a: createOrganization(input: {code: "acme", name: "Acme", externalId: "A-1"}) { organization { id } }
	g: createOrganization(input: {code: "globex", name: "Globex"}) { organization { id } }
	ada: createUser(input: {email: "ada@example.com", phone: "+442079460958", username: "ada", givenName: "=Ada", familyName: "Lovelace, \"Countess\"", pictureUrl: "https://example.com/a.png",
		externalId: "X-1", properties: {plan: "gold", note: "<a> & ünï"}, organizations: [{code: "acme"}, {code: "globex"}], roles: [{key: "clerk"}, {key: "auditor"}]}) { user { id } }
	bob: createUser(input: {email: "bob@example.com", givenName: "'t", familyName: "Hooft", organizations: [{code: "acme"}], roles: []}) { user { id } }
	eve: createUser(input: {username: "eve", organizations: [{code: "globex"}, {code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
	zed: createUser(input: {username: "zed", organizations: [{code: "acme"}]}) { user { id } }
	d: grantPermissions(input: {organization: {code: "globex"}, users: [{username: "ada"}], permissions: [{key: "invoices:write"}, {key: "invoices:read"}], reason: "one"}) { memberships { id } }
	soon: grantRoles(input: {organization: {code: "acme"}, users: [{email: "bob@example.com"}], roles: [{key: "auditor"}], startsAt: "2080-01-01T00:00:00Z"}) { memberships { id } }
	until: grantRoles(input: {organization: {code: "acme"}, users: [{email: "bob@example.com"}], roles: [{key: "clerk"}], endsAt: "2080-01-01T00:00:00Z"}) { memberships { id } }
	more: grantRoles(input: {organization: {code: "acme"}, users: [{username: "ada"}], roles: [{key: "clerk"}], endsAt: "2080-01-01T00:00:00Z"}) { memberships { id } }
	boss: addMembers(input: {organization: {code: "roster"}, users: [{email: "bob@example.com"}], roles: [{key: "roster-viewer"}]}) { memberships { id } }
	s: suspendUser(input: {user: {email: "bob@example.com"}}) { user { id } }
	m: suspendMember(input: {user: {username: "eve"}, organization: {code: "globex"}}) { membership { id } }
	del: deleteUser(input: {user: {username: "zed"}}) { deletedIds }
}`

// people is a business with the people above.
type people struct {
	*graphtest.Server
	ids map[string]string
}

func newPeople(t *testing.T, tracers ...pgx.QueryTracer) *people {
	t.Helper()
	b := graphtest.New(t, tracers...)
	made := b.Ask(t, peopleSeed)
	p := &people{b, map[string]string{}}
	for _, name := range []string{"ada", "bob", "eve"} {
		p.ids[made.Text(name+".user.id")] = strings.ToUpper(name)
	}
	b.Execute(t, `insert into passwords (user_id, hash, temporary, changed_at) select id, '$2b$10$' || coalesce(username, 'bob'), username is null, now() from users where deleted_at is null`)
	b.Execute(t, `insert into identities (provider, subject, user_id, created_at) select v.provider, v.subject, id, now() from users,
		(values ('https://accounts.google.com', '107'), ('https://login.example.com/v2.0', 'a b')) v (provider, subject) where username = 'ada'`)
	b.Execute(t, "update users set email_verified = true where username = 'ada'")
	return p
}

// link asks for an export with the key, and returns the path of its link.
func (p *people) link(t *testing.T, key, input string) string {
	t.Helper()
	a := p.As(t, key, `mutation { exportUsers(input: {`+input+`}) { export { url expiresAt } } }`, nil)
	path, ok := strings.CutPrefix(a.Text("exportUsers.export.url"), graphtest.Issuer)
	if !ok {
		t.Fatalf("%s: %s", input, a.Body)
	}
	return path
}

// secret is link for the secret of the link alone.
func (p *people) secret(t *testing.T, key, input string) secret.Text {
	t.Helper()
	return secret.New(strings.TrimPrefix(p.link(t, key, input), transfer.ExportsPath))
}

// fetch sends a request to the door.
func (p *people) fetch(t *testing.T, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := connection{httptest.NewRecorder(), func() {}}
	p.Downloads.ServeHTTP(w, r)
	return w.ResponseRecorder
}

// named returns the file with names in the place of ids.
func (p *people) named(text string) string {
	for id, name := range p.ids {
		text = strings.ReplaceAll(text, id, name)
	}
	return text
}

const csvHeader = "roster_id,email,email_verified,phone,username,first_name,last_name,picture_url,id,status,external_organization_id,role_keys,permission_keys,properties"

// A file has the users with what can be said of them in it: who is deleted is not there, nor
// what ends, begins later, does not count, or is held for the business as a whole.
func TestWhatAFileHas(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	const ada = `ADA,ada@example.com,TRUE,'+442079460958,ada,'=Ada,"Lovelace, ""Countess""",https://example.com/a.png,X-1,ACTIVE`
	const properties = `"{""note"": ""<a> & ünï"", ""plan"": ""gold""}"`
	const adaJSON = `{"roster_id":"ADA","email":"ada@example.com","email_verified":true,"phone":"+442079460958","username":"ada","first_name":"=Ada","last_name":"Lovelace, \"Countess\"",` +
		`"picture_url":"https://example.com/a.png","id":"X-1","status":"ACTIVE","properties":{"note":"<a> & ünï","plan":"gold"},`
	const identities = `"identities":[{"type":"oauth2:google","identity":"107"},{"type":"oauth2:https://login.example.com/v2.0","identity":"a b"}]}`
	for name, c := range map[string]struct{ input, want string }{
		"CSV": {``, csvHeader + "\n" +
			ada + `,A-1,"auditor,clerk",,` + properties + "\n" +
			ada + `,globex,"auditor,clerk","invoices:read,invoices:write",` + properties + "\n" +
			`BOB,bob@example.com,FALSE,,,'t,Hooft,,,SUSPENDED,A-1,,,{}` + "\n" +
			`EVE,,FALSE,,eve,,,,,ACTIVE,globex,,,{}` + "\n" +
			`EVE,,FALSE,,eve,,,,,ACTIVE,A-1,clerk,,{}` + "\n"},
		"CSV of an organization with hashes": {`organization: {code: "globex"}, hashes: true`, csvHeader + ",hashed_password\n" +
			ada + `,globex,"auditor,clerk","invoices:read,invoices:write",` + properties + ",$2b$10$ada\n" +
			`EVE,,FALSE,,eve,,,,,ACTIVE,globex,,,{},$2b$10$eve` + "\n"},
		"CSV of nobody": {`organization: {code: "default"}`, csvHeader + "\n"},
		"NDJSON with hashes": {`format: NDJSON, hashes: true`,
			adaJSON + `"password":{"hashed_password":"$2b$10$ada"},"organizations":[{"external_id":"A-1","roles":["auditor","clerk"],"permissions":[]},` +
				`{"external_id":"globex","roles":["auditor","clerk"],"permissions":["invoices:read","invoices:write"]}],` + identities + "\n" +
				`{"roster_id":"BOB","email":"bob@example.com","email_verified":false,"phone":null,"username":null,"first_name":"'t","last_name":"Hooft","picture_url":null,"id":null,"status":"SUSPENDED","properties":{},` +
				`"organizations":[{"external_id":"A-1","roles":[],"permissions":[]}],"identities":[]}` + "\n" +
				`{"roster_id":"EVE","email":null,"email_verified":false,"phone":null,"username":"eve","first_name":null,"last_name":null,"picture_url":null,"id":null,"status":"ACTIVE","properties":{},` +
				`"password":{"hashed_password":"$2b$10$eve"},"organizations":[{"external_id":"globex","roles":[],"permissions":[]},{"external_id":"A-1","roles":["clerk"],"permissions":[]}],"identities":[]}` + "\n"},
		"NDJSON of an organization": {`format: NDJSON, organization: {externalId: "A-1"}`,
			adaJSON + `"organizations":[{"external_id":"A-1","roles":["auditor","clerk"],"permissions":[]}],` + identities + "\n" +
				`{"roster_id":"BOB","email":"bob@example.com","email_verified":false,"phone":null,"username":null,"first_name":"'t","last_name":"Hooft","picture_url":null,"id":null,"status":"SUSPENDED","properties":{},` +
				`"organizations":[{"external_id":"A-1","roles":[],"permissions":[]}],"identities":[]}` + "\n" +
				`{"roster_id":"EVE","email":null,"email_verified":false,"phone":null,"username":"eve","first_name":null,"last_name":null,"picture_url":null,"id":null,"status":"ACTIVE","properties":{},` +
				`"organizations":[{"external_id":"A-1","roles":["clerk"],"permissions":[]}],"identities":[]}` + "\n"},
		"NDJSON of nobody": {`format: NDJSON, organization: {code: "default"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := p.fetch(t, "GET", p.link(t, p.Key, c.input))
			if got := p.named(w.Body.String()); w.Code != 200 || got != c.want {
				t.Errorf("%d\n%s\nwant\n%s", w.Code, got, c.want)
			}
		})
	}
}

// A link leads to a file once, for a GET, for five minutes, and to nothing else ever.
func TestLinksWorkOnce(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	path := p.link(t, p.Key, "")
	for _, c := range []struct {
		name, method, path string
		status             int
	}{
		{"HEAD", "HEAD", path, 200},
		{"HEAD again", "HEAD", path, 200},
		{"POST", "POST", path, 405},
		{"another secret", "GET", transfer.ExportsPath + "re_" + strings.Repeat("A", 43), 404},
		{"HEAD of another secret", "HEAD", transfer.ExportsPath + "re_" + strings.Repeat("A", 43), 404},
		{"a longer one", "GET", path + "A", 404},
		{"a shorter one", "GET", path[:len(path)-1], 404},
		{"below it", "GET", path + "/", 404},
		{"none", "GET", transfer.ExportsPath, 404},
		{"GET", "GET", path, 200},
		{"GET again", "GET", path, 404},
		{"HEAD after that", "HEAD", path, 404},
	} {
		w := p.fetch(t, c.method, c.path)
		if w.Code != c.status || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %s, want %d", c.name, w.Code, w.Header(), w.Body, c.status)
		}
		if got := w.Header().Get("Content-Disposition"); (c.name == "GET") != strings.HasPrefix(got, `attachment; filename="users-2`) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	packed := p.fetch(t, "GET", p.link(t, p.Key, ""), "Accept-Encoding", "gzip")
	plain, err := gzip.NewReader(packed.Body)
	graphtest.Must(t, err)
	if text, err := io.ReadAll(plain); err != nil || !strings.HasPrefix(string(text), csvHeader) || packed.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("%v %v %.100s", packed.Header(), err, text)
	}
	late := p.link(t, p.Key, "")
	p.Clock.Advance(5*time.Minute + time.Second)
	for _, method := range []string{"HEAD", "GET"} {
		if w := p.fetch(t, method, late); w.Code != 404 {
			t.Errorf("%s of an expired link: %d %s", method, w.Code, w.Body)
		}
	}
	raced := p.secret(t, p.Key, "")
	var won atomic.Int32
	var racers sync.WaitGroup
	for i := range 20 {
		racers.Go(func() {
			_, err := p.Transfer.Redeem(context.WithoutCancel(t.Context()), raced)
			switch {
			case err == nil:
				won.Add(1)
			case !problem.Is(err, problem.NotFound):
				t.Errorf("racer %d: %v", i, err)
			}
		})
	}
	racers.Wait()
	if won.Load() != 1 {
		t.Errorf("%d racers got the file", won.Load())
	}
}

var reads = []string{"roster:users:read", "roster:members:read", "roster:organizations:read", "roster:roles:read"}

// Whoever may read all that a file has may ask for it: for the business, or for one
// organization, of which then only that is in it. Hashes are for the business alone.
func TestWhoMayExport(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	b := p.Server
	withHashes := append([]string{"roster:hashes:read"}, reads...)
	b.Ask(t, `mutation { createRole(input: {key: "reader", permissions: [{key: "roster:users:read"}, {key: "roster:members:read"}, {key: "roster:organizations:read"}, {key: "roster:roles:read"}]}) { role { id } }
		grantRoles(input: {organization: {code: "acme"}, users: [{username: "ada"}], roles: [{key: "reader"}]}) { memberships { id } } }`)
	keys := map[string]string{
		"business": b.Holding(t, "", reads...), "business with hashes": b.Holding(t, "", withHashes...), "acme": b.Holding(t, "acme", withHashes...),
		"ada": b.SignedIn(t, "ada@example.com", "acme"), "ada elsewhere": b.SignedIn(t, "ada@example.com", "globex"), "nobody": "",
	}
	for i, need := range reads {
		others := append(append([]string{}, reads[:i]...), reads[i+1:]...)
		keys["acme without "+need] = b.Holding(t, "acme", others...)
	}
	const all, acme, globex, hashes = ``, `organization: {code: "acme"}`, `organization: {code: "globex"}`, `, hashes: true`
	for _, c := range []struct{ who, input, codes string }{
		{"business", all, ""}, {"business", acme, ""}, {"business", all + hashes, "FORBIDDEN"}, {"business", acme + hashes, "FORBIDDEN"},
		{"business with hashes", all + hashes, ""}, {"business with hashes", acme + hashes, ""}, {"business with hashes", `organization: {code: "none"}`, "NOT_FOUND"},
		{"business with hashes", `organization: {code: "roster"}`, "NOT_FOUND"},
		{"acme", all, "FORBIDDEN"}, {"acme", acme, ""}, {"acme", acme + hashes, "FORBIDDEN"}, {"acme", globex, "NOT_FOUND"},
		{"ada", all, "FORBIDDEN"}, {"ada", acme, ""}, {"ada", globex, "NOT_FOUND"}, {"ada elsewhere", acme, "FORBIDDEN"},
		{"acme without roster:users:read", acme, "FORBIDDEN"}, {"acme without roster:members:read", acme, "FORBIDDEN"},
		{"acme without roster:organizations:read", acme, "FORBIDDEN"}, {"acme without roster:roles:read", acme, "FORBIDDEN"},
		{"nobody", acme, "UNAUTHENTICATED"},
	} {
		t.Run(c.who+" "+c.input, func(t *testing.T) {
			t.Parallel()
			a := b.As(t, keys[c.who], `mutation { exportUsers(input: {`+c.input+`}) { export { url } } }`, nil)
			if a.Codes() != c.codes {
				t.Errorf("%s, want %q", a.Body, c.codes)
			}
		})
	}
}

// A link is worth what whoever asked for it may do when it is fetched.
func TestWhoAskedIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	const acme = `organization: {code: "acme"}`
	for name, c := range map[string]struct {
		input string
		who   func(t *testing.T, p *people) string
		// then takes something from them: a mutation in which KEY is the id of their key.
		then   string
		status int
	}{
		"nothing":               {"", func(t *testing.T, p *people) string { return p.Holding(t, "", reads...) }, "", 200},
		"a revoked key":         {"", func(t *testing.T, p *people) string { return p.Holding(t, "", reads...) }, `revokeApiKey(input: {apiKey: "KEY"}) { apiKey { id } }`, 404},
		"a suspended place":     {acme, func(t *testing.T, p *people) string { return p.Holding(t, "acme", reads...) }, `suspendOrganization(input: {organization: {code: "acme"}}) { organization { id } }`, 404},
		"a person":              {acme, readerInAcme, "", 200},
		"a person in all":       {"", readerOfAll, "", 200},
		"a suspended person":    {acme, readerInAcme, `suspendUser(input: {user: {username: "ada"}}) { user { id } }`, 404},
		"a suspended member":    {acme, readerInAcme, `suspendMember(input: {user: {username: "ada"}, organization: {code: "acme"}}) { membership { id } }`, 404},
		"a deleted person":      {acme, readerInAcme, `deleteUser(input: {user: {username: "ada"}}) { deletedIds }`, 404},
		"a lost role":           {acme, readerInAcme, `revokeRoles(input: {organization: {code: "acme"}, users: [{username: "ada"}], roles: [{key: "roster-viewer"}]}) { memberships { id } }`, 404},
		"a lost role in all":    {"", readerOfAll, `removeMembers(input: {organization: {code: "roster"}, users: [{username: "ada"}]}) { deletedIds }`, 404},
		"a role of the key":     {acme, keyOfReader, `revokeRoles(input: {organization: {code: "acme"}, users: [{username: "ada"}], roles: [{key: "roster-viewer"}]}) { memberships { id } }`, 404},
		"somebody else's role":  {acme, readerInAcme, `revokeRoles(input: {organization: {code: "acme"}, users: [{username: "eve"}], roles: [{key: "clerk"}]}) { memberships { id } }`, 200},
		"an end of the session": {acme, readerInAcme, `setTemporaryPassword(input: {user: {username: "ada"}, password: "` + graphtest.Password + `"}) { user { id } }`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeople(t)
			key := c.who(t, p)
			path := p.link(t, key, c.input)
			if c.then != "" {
				id := p.As(t, key, "{ viewer { apiKey { id } } }", nil).Text("viewer.apiKey.id")
				p.Ask(t, "mutation { "+strings.ReplaceAll(c.then, "KEY", id)+" }")
			}
			for _, status := range []int{c.status, 404} {
				if w := p.fetch(t, "GET", path); w.Code != status || strings.Contains(w.Body.String(), "example.com") != (status == 200) {
					t.Errorf("%d %s, want %d", w.Code, w.Body, status)
				}
			}
		})
	}
}

// readerInAcme returns the session of Ada, who may read all of Acme.
func readerInAcme(t *testing.T, p *people) string {
	t.Helper()
	p.Ask(t, `mutation { grantRoles(input: {organization: {code: "acme"}, users: [{username: "ada"}], roles: [{key: "roster-viewer"}]}) { memberships { id } } }`)
	return p.SignedIn(t, "ada@example.com", "acme")
}

// readerOfAll returns the session of Ada, who may read all of the business.
func readerOfAll(t *testing.T, p *people) string {
	t.Helper()
	p.Ask(t, `mutation { addMembers(input: {organization: {code: "roster"}, users: [{username: "ada"}], roles: [{key: "roster-viewer"}]}) { memberships { id } } }`)
	return p.SignedIn(t, "ada@example.com", "globex")
}

// keyOfReader returns a key that stands for readerInAcme.
func keyOfReader(t *testing.T, p *people) string {
	t.Helper()
	readerInAcme(t, p)
	return p.StandingFor(t, "ada@example.com", "acme", reads...)
}

// crowd makes that many more users, who are members of Acme.
func (p *people) crowd(t *testing.T, n int) {
	t.Helper()
	p.Execute(t, `with made as (insert into users (id, email, email_key, name, name_key, search)
			select gen_random_uuid(), x, x, x, x, '' from (select 'u'||i||'@example.com' as x from generate_series(1, ?) i) s returning id)
		insert into memberships (id, org_id, user_id) select gen_random_uuid(), o.id, made.id from made, organizations o where o.code = 'acme'`, n)
}

// A file is read in pages, each by one statement. While it is written, no connection is held.
func TestFilesAreReadInPages(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	p := newPeople(t, traced)
	p.crowd(t, 2250)
	for input, c := range map[string]struct{ lines, pages int }{
		``: {2256, 3}, `format: NDJSON`: {2253, 3}, `organization: {code: "acme"}`: {2254, 3}, `format: NDJSON, organization: {code: "globex"}`: {2, 1},
	} {
		d, err := p.Transfer.Redeem(t.Context(), p.secret(t, p.Key, input))
		graphtest.Must(t, err)
		traced.Take()
		lines := 0
		graphtest.Must(t, d.Write(t.Context(), writerFunc(func(part []byte) (int, error) {
			if n := p.Database.Pools()["reads"]().AcquiredConns(); n > 0 {
				t.Errorf("%s: %d connections are held while the file is written", input, n)
			}
			lines += bytes.Count(part, []byte("\n"))
			return len(part), nil
		})))
		pages := slices.DeleteFunc(traced.Take(), func(text string) bool { return !strings.Contains(text, "u.email_verified") })
		if lines != c.lines || len(pages) != c.pages {
			t.Errorf("%s: %d lines in %d pages, want %v", input, lines, len(pages), c)
		}
	}
}

// writerFunc is a writer that is a function.
type writerFunc func(part []byte) (int, error)

func (f writerFunc) Write(part []byte) (int, error) { return f(part) }

// connection is a recorder that takes deadlines. It calls written after each part.
type connection struct {
	*httptest.ResponseRecorder
	written func()
}

func (connection) SetWriteDeadline(time.Time) error { return nil }

func (c connection) Write(part []byte) (int, error) {
	defer c.written()
	return c.ResponseRecorder.Write(part)
}

// Once whoever asked for a file may not have it any more, it goes no further, and is cut off,
// so that nobody takes it for a whole one. What fails before a file has begun is told.
func TestFilesAreCutOff(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.crowd(t, 2000)
	reader := p.Holding(t, "acme", reads...)
	id := p.As(t, reader, "{ viewer { apiKey { id } } }", nil).Text("viewer.apiKey.id")
	revoke := sync.OnceFunc(func() { p.Ask(t, `mutation { revokeApiKey(input: {apiKey: "`+id+`"}) { apiKey { id } } }`) })
	w := connection{httptest.NewRecorder(), revoke}
	r := httptest.NewRequestWithContext(t.Context(), "GET", p.link(t, reader, `organization: {code: "acme"}`), nil)
	func() {
		defer func() {
			//nolint:errorlint // the value itself is the sign, as in net/http
			if cause := recover(); cause != http.ErrAbortHandler {
				t.Errorf("it was not cut off: %v", cause)
			}
		}()
		p.Downloads.ServeHTTP(w, r)
	}()
	if lines := strings.Count(w.Body.String(), "\n"); lines == 0 || lines > 1900 {
		t.Errorf("%d lines were written", lines)
	}
	path := p.link(t, p.Key, "")
	p.Execute(t, "alter table membership_roles rename to gone")
	failed := p.fetch(t, "GET", path)
	p.Execute(t, "alter table gone rename to membership_roles")
	if failed.Code != 500 || failed.Header().Get("Content-Disposition") != "" || failed.Body.String() != "Internal server error.\n" {
		t.Errorf("%d %v %s", failed.Code, failed.Header(), failed.Body)
	}
}
