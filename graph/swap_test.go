package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/access"
	"roster/db"
	"roster/db/dbtest"
	"roster/graph/admission"
	"roster/graph/graphtest"
	"roster/graph/transport"
)

// swapSeed makes acme, which the actors of the matrix know, and what is foreign
// to them.
const swapSeed = `mutation {
	globex: createOrganization(input: {code: "globex", name: "Globex Secret", externalId: "G-1"}) { organization { id } }
	hooli: createOrganization(input: {code: "hooli", name: "Hooli Secret", externalId: "H-1"}) { organization { id } }
	acme: createOrganization(input: {code: "acme", name: "Acme", externalId: "A-1"}) { organization { id } }
	initech: createOrganization(input: {code: "initech", name: "Initech"}) { organization { id } }
	p: createPermission(input: {key: "invoices:read"}) { permission { id } }
	r: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
	gus: createUser(input: {email: "gus@secret.example", username: "gus", externalId: "GU-1", givenName: "Gus Secret", organizations: [{code: "globex"}], roles: [{key: "clerk"}]}) { user { id } }
	greta: createUser(input: {email: "greta@secret.example", username: "greta", externalId: "GR-1", givenName: "Greta Secret", organizations: [{code: "globex"}], roles: [{key: "clerk"}]}) { user { id } }
	hal: createUser(input: {email: "hal@secret.example", username: "hal", externalId: "HA-1", givenName: "Hal Secret", organizations: [{code: "hooli"}], roles: [{key: "clerk"}]}) { user { id } }
	ada: createUser(input: {email: "ada@example.com", username: "ada", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
	sue: createUser(input: {email: "sue@example.com", username: "sue", organizations: [{code: "acme"}, {code: "globex"}], roles: [{key: "clerk"}]}) { user { id } }
	olivia: createUser(input: {email: "olivia@example.com", username: "olivia", organizations: [{code: "acme"}, {code: "default"}], roles: [{key: "roster-organization-administrator"}]}) { user { id } }
	sam: createUser(input: {email: "sam@example.com", username: "sam", organizations: [{code: "acme"}], roles: [{key: "roster-administrator"}]}) { user { id } }
	s: suspendUser(input: {user: {username: "greta"}}) { user { id } }
	h: suspendOrganization(input: {organization: {code: "hooli"}}) { organization { id } }
	boss: addMembers(input: {organization: {code: "roster"}, users: [{username: "gus"}], roles: [{key: "roster-administrator"}]}) { memberships { id } }
	k1: createApiKey(input: {name: "Globex Secret", permissions: [], organization: {code: "globex"}}) { apiKey { id } }
	k2: createApiKey(input: {name: "Business Secret", permissions: []}) { apiKey { id } }
	k3: createApiKey(input: {name: "own", permissions: [], organization: {code: "acme"}}) { apiKey { id } }
	i1: invite(input: {email: "invited@secret.example", organization: {code: "globex"}, sendEmail: false}) { invitation { id } }
	i2: invite(input: {email: "invited@example.com", organization: {code: "acme"}, sendEmail: false}) { invitation { id } }
	ip1: createIdentityProvider(input: {key: "acme", kind: GOOGLE, clientId: "acme", clientSecret: "s", organization: {code: "acme"}}) { provider { id } }
	ip2: createIdentityProvider(input: {key: "globex", kind: GOOGLE, displayName: "Globex Secret", clientId: "globex", clientSecret: "s", organization: {code: "globex"}}) { provider { id } }
	m1: createApplication(input: {name: "Globex Secret", kind: MACHINE, organization: {code: "globex"}}) { application { id } }
	m2: createApplication(input: {name: "Web Secret", kind: WEB}) { application { id } }
	m3: createApplication(input: {name: "own", kind: MACHINE, organization: {code: "acme"}}) { application { id } }
}`

// pair is a reference to something foreign, and one of the same form to what
// does not exist.
type pair struct{ foreign, unknown string }

// swap is the matrix: every operation, every reference in its arguments,
// everybody who asks.
type swap struct {
	*graphtest.Server
	*caller
	// pairs are the references by type.
	pairs map[string][]pair
	// needles occur in what is foreign, and nowhere else.
	needles [][]byte
	// traced are the statements that answers take.
	traced *dbtest.Statements
	cells  int
	// strangers is how many requests were sent without a key.
	strangers int
}

func newSwap(t *testing.T, b *graphtest.Server, traced *dbtest.Statements) *swap {
	made := b.Ask(t, swapSeed)
	s := &swap{Server: b, traced: traced, pairs: map[string][]pair{}}
	s.caller = &caller{schema: graphtest.LoadSchema(t, "../schema.graphqls"), ids: map[string]string{"$KEY": made.Text("k3.apiKey.id"), "$INVITATION": made.Text("i2.invitation.id"), "$PROVIDER": made.Text("ip1.provider.id"), "$APP": made.Text("m3.application.id"), "$IMPORT": b.StoreImport(t, "people.csv")}}
	ref := func(kind, field, foreign, unknown string) {
		s.pairs[kind] = append(s.pairs[kind], pair{fmt.Sprintf("{%s: %q}", field, foreign), fmt.Sprintf("{%s: %q}", field, unknown)})
	}
	id := func(foreign, unknown string) {
		s.pairs["ID"] = append(s.pairs["ID"], pair{graphtest.Quote(foreign), graphtest.Quote(unknown)})
	}
	for _, user := range []struct{ name, externalID string }{{"gus", "GU-1"}, {"greta", "GR-1"}, {"hal", "HA-1"}} {
		ref("UserRef", "id", made.Text(user.name+".user.id"), db.NewID[db.UserKind]().String())
		ref("UserRef", "email", user.name+"@secret.example", "unknown@example.com")
		ref("UserRef", "username", user.name, "unknown")
		ref("UserRef", "externalId", user.externalID, "U-1")
		id(made.Text(user.name+".user.id"), db.NewID[db.UserKind]().String())
	}
	for _, org := range []struct{ code, externalID string }{{"globex", "G-1"}, {"hooli", "H-1"}} {
		ref("OrganizationRef", "id", made.Text(org.code+".organization.id"), db.NewID[db.OrganizationKind]().String())
		ref("OrganizationRef", "code", org.code, "unknown")
		ref("OrganizationRef", "externalId", org.externalID, "U-1")
		id(made.Text(org.code+".organization.id"), db.NewID[db.OrganizationKind]().String())
	}
	ref("OrganizationRef", "id", db.Root.String(), db.NewID[db.OrganizationKind]().String())
	ref("OrganizationRef", "code", "roster", "unknown")
	id(db.Root.String(), db.NewID[db.OrganizationKind]().String())
	id(made.Text("k1.apiKey.id"), db.NewID[db.APIKeyKind]().String())
	id(made.Text("k2.apiKey.id"), db.NewID[db.APIKeyKind]().String())
	id(made.Text("i1.invitation.id"), db.NewID[db.InvitationKind]().String())
	id(made.Text("m1.application.id"), db.NewID[db.ClientKind]().String())
	id(made.Text("m2.application.id"), db.NewID[db.ClientKind]().String())
	member := b.Ask(t, `{ user(by: {username: "gus"}) { membership(organization: {code: "globex"}) { id } } }`).Text("user.membership.id")
	id(member, db.NewID[db.MembershipKind]().String())
	change := b.Ask(t, `{ changes(filter: {organization: {code: "globex"}}, last: 1) { nodes { id } } }`).Text("changes.nodes.0.id")
	id(change, db.NewID[db.ChangeKind]().String())
	b.SignedIn(t, "sue@example.com", "globex")
	b.Execute(t, `insert into sign_ins (id, at, user_id, method, succeeded, org_id) select gen_random_uuid(), now(), m.user_id, 'password', true, m.org_id
		from memberships m join users u on u.id = m.user_id join organizations o on o.id = m.org_id where u.username = 'sue' and o.code = 'globex'`)
	gus := &signedIn{Server: b, email: "gus@secret.example", session: b.SignedIn(t, "gus@secret.example", "globex")}
	session, identity := gus.sessionID(t), newIdentity(t, b, "gus")
	id(session, db.NewID[db.SessionKind]().String())
	id(identity, db.NewID[db.IdentityKind]().String())
	id(b.StoreImport(t, "The Secret people.csv"), db.NewID[db.ImportKind]().String())
	id(made.Text("ip2.provider.id"), db.NewID[db.ProviderKind]().String())
	s.pairs["ticket"] = []pair{{gus.mailed(t, "ConfirmEmailChangeInput", gus.session, emailChange, "RequestEmailChangeInput")["ConfirmEmailChangeInput.ticket"], samples["ticket"]}}
	for _, needle := range []string{" Secret", "@secret", made.Text("gus.user.id"), made.Text("globex.organization.id"), made.Text("k1.apiKey.id"), made.Text("m1.application.id"), made.Text("i1.invitation.id"), member, change, session, identity} {
		s.needles = append(s.needles, []byte(needle))
	}
	return s
}

// find returns a needle that the text has, or nil.
func (s *swap) find(text []byte) []byte {
	for _, needle := range s.needles {
		if bytes.Contains(text, needle) {
			return needle
		}
	}
	return nil
}

// global is what roles and permissions are referred to by: they are nobody's.
var global = []string{"RoleRef", "PermissionRef"}

// identifiers are arguments that name something although they are plain text.
var identifiers = []string{"ChangeFilter.subject", "ChangeFilter.actor", "ConfirmEmailChangeInput.ticket"}

// places returns the references in the arguments of a field, as caller.place tells
// them, with the types of what is referred to.
func (s *swap) places(t *testing.T, f *ast.FieldDefinition) map[string]*ast.Type {
	found := map[string]*ast.Type{}
	note := func(owner, name, place string, of *ast.Type) bool {
		if _, known := s.pairs[of.Name()]; known || slices.Contains(identifiers, owner+"."+name) {
			found[place] = of
			return true
		}
		return false
	}
	for _, a := range f.Arguments {
		if note("", a.Name, a.Name, a.Type) {
			continue
		}
		for _, field := range s.schema.Types[a.Type.Name()].Fields {
			if note(a.Type.Name(), field.Name, a.Name+"."+field.Name, field.Type) {
				continue
			}
			if slices.Contains(global, field.Type.Name()) {
				continue
			}
			if f.Name == "createUsers" { // which needs a permission for the business, so that nothing is foreign
				continue
			}
			for _, inner := range s.schema.Types[field.Type.Name()].Fields {
				if _, known := s.pairs[inner.Type.Name()]; known {
					t.Errorf("%s has a reference at %s.%s.%s, deeper than the matrix looks", f.Name, a.Name, field.Name, inner.Name)
				}
			}
		}
	}
	return found
}

// ways reach the fields of a type that take references, from the root.
var ways = map[string]string{
	"Query": "query { %s }", "Mutation": "mutation { %s }",
	"User":         `query { viewer { user { %[1]s } } user(by: {username: "ada"}) { %[1]s } shared: user(by: {username: "sue"}) { %[1]s } }`,
	"Organization": `query { viewer { organization { %[1]s } } organization(by: {code: "acme"}) { %[1]s } }`,
	"Role":         `query { role(by: {key: "clerk"}) { %s } }`,
	"Permission":   `query { permission(by: {key: "invoices:read"}) { %s } }`,
}

// saidBy is what an answer says, without what differs between any two.
func saidBy(a *graphtest.Answer) string {
	if a.Status == 401 || strings.HasPrefix(a.Codes(), "UNAUTHENTICATED") {
		return "no credential"
	}
	for _, e := range a.Errors {
		delete(e.Extensions, "requestId")
	}
	text, _ := json.Marshal([]any{a.Status, a.Data, a.Errors, a.Extensions.Cost.Requested})
	return string(text)
}

// put sends the field with the reference in its place, and asks for what lies
// below: less deep if that is too much for one operation.
func (s *swap) put(t *testing.T, key, owner string, f *ast.FieldDefinition, place, reference string, guarded bool) *graphtest.Answer {
	c := *s.caller
	c.place, c.instead = place, reference
	for depth := 3; ; depth-- {
		call := strings.TrimSuffix(c.call(owner, f), " { __typename }") + s.selection(f.Type, depth, guarded)
		if a := s.from(key).As(t, key, fmt.Sprintf(ways[owner], call), nil); a.Codes() != "LIMITED" || depth == 1 {
			return a
		}
	}
}

// from returns the server as the holder of the key sees it. Each request without a key
// comes from an address of its own, since they share what one address may ask for.
func (s *swap) from(key string) *graphtest.Server {
	if key != "" {
		return s.Server
	}
	s.strangers++
	return s.Server.From(fmt.Sprintf("198.51.%d.%d", s.strangers/250%250, s.strangers%250))
}

// takeAlike fails when one of two answers always takes more statements than the
// other: their time would tell them apart. Now and then there is one more, which
// finds out who asks or what is new.
func (s *swap) takeAlike(t *testing.T, what string, one, other func()) {
	least := [2]int{math.MaxInt, math.MaxInt}
	for range 15 {
		graphtest.Eventually(t, 10*time.Second, "memory is trusted", func() bool { return s.Directory.Stats().Lag < 300*time.Millisecond })
		for i, ask := range []func(){one, other} {
			s.traced.Take()
			ask()
			least[i] = min(least[i], len(ofRequest(s.traced.Take())))
		}
		if least[0] == least[1] {
			return
		}
	}
	t.Errorf("%s: %d statements, otherwise %d", what, least[0], least[1])
}

// company is what the other references of a call are to: the caller's own
// organization and its member, or foreign ones, which belong together.
var company = []map[string]string{
	nil, {"UserRef": `{username: "gus"}`, "OrganizationRef": `{code: "globex"}`, "MoveMemberInput.to": `{code: "acme"}`},
}

// insiders are the actors who are tried in all company, and outsiders the ones who are tried
// in no company, too. All others may do less of the same: they are tried with -long, and look
// at everything without it.
var (
	insiders  = []string{"who holds all in acme", "who is signed in to acme", "a plain member"}
	outsiders = []string{"who holds all in initech", "nobody"}
)

// compare puts every pair into one place, on behalf of one actor.
func (s *swap) compare(t *testing.T, who, key, owner string, f *ast.FieldDefinition, place string, of *ast.Type) {
	kind := of.Name()
	switch {
	case strings.HasSuffix(place, ".ticket"):
		kind = "ticket"
	case kind == "String":
		kind = "ID"
	}
	unknown, statements := map[string]string{}, map[string]int{}
	try := func(p pair, wrap string) {
		s.cells++
		p.foreign, p.unknown = fmt.Sprintf(wrap, p.foreign), fmt.Sprintf(wrap, p.unknown)
		if _, known := unknown[p.unknown]; !known {
			s.traced.Take()
			unknown[p.unknown] = saidBy(s.put(t, key, owner, f, place, p.unknown, false))
			statements[p.unknown] = len(ofRequest(s.traced.Take()))
		}
		s.traced.Take()
		a := s.put(t, key, owner, f, place, p.foreign, false)
		if len(ofRequest(s.traced.Take())) != statements[p.unknown] {
			s.takeAlike(t, fmt.Sprintf("%s %s(%s: %s)", who, f.Name, place, p.foreign),
				func() { s.put(t, key, owner, f, place, p.foreign, false) }, func() { s.put(t, key, owner, f, place, p.unknown, false) })
		}
		if got := saidBy(a); got != unknown[p.unknown] {
			t.Errorf("%s %s(%s: %s):\n%s\nwhereas %s:\n%s", who, f.Name, place, p.foreign, got, p.unknown, unknown[p.unknown])
		}
		if found := s.find(a.Body); found != nil {
			t.Errorf("%s %s(%s: %s) tells %s: %s", who, f.Name, place, p.foreign, found, a.Body)
		}
	}
	for _, p := range s.pairs[kind] {
		if of.Elem == nil {
			try(p, "%s")
			continue
		}
		try(p, "[%s]")
		if own := samples[kind]; own != "" {
			try(p, "["+own+", %s]")
		}
	}
}

// newest is how many are read of a list: more than there are permissions of Roster itself, whose
// keys come last.
var newest = strconv.Itoa(len(access.SystemPermissions) + 2)

// look reads a field with what it needs and all that lies below, of a list the
// newest, and finds nothing foreign. The administrator does find some in every
// list.
func (s *swap) look(t *testing.T, actors map[string]string, owner string, f *ast.FieldDefinition) {
	s.others = nil
	for who, key := range actors {
		a := s.put(t, key, owner, f, "last", newest, true)
		if found := s.find(a.Body); found != nil {
			t.Errorf("%s is told %s by %s.%s: %s", who, found, owner, f.Name, a.Body)
		}
	}
	a := s.put(t, s.Key, owner, f, "last", newest, true)
	if a.Codes() != "" || strings.HasSuffix(f.Type.Name(), "Connection") && s.find(a.Body) == nil {
		t.Errorf("%s.%s tells the administrator nothing foreign: %s", owner, f.Name, a.Body)
	}
}

// foreignRows are all rows which belong to the other organizations and their
// members.
const foreignRows = `
with o as (select id from organizations where code in ('globex', 'hooli', 'roster')),
	u as (select id from users where username in ('gus', 'greta', 'hal'))
select coalesce(md5(string_agg(x, e'\n' order by x)), '') from (
	select t::text as x from organizations t where id in (select id from o)
	union all select t::text from users t where id in (select id from u)
	union all select t::text from memberships t where org_id in (select id from o) or user_id in (select id from u)
	union all select t::text from membership_roles t where org_id in (select id from o) or user_id in (select id from u)
	union all select t::text from membership_permissions t where org_id in (select id from o) or user_id in (select id from u)
	union all select t::text from organization_default_roles t where org_id in (select id from o)
	union all select t::text from api_keys t where org_id in (select id from o)
	union all select t::text from invitations t where org_id in (select id from o)
	union all select t::text from sessions t where user_id in (select id from u)
	union all select t::text from flows t where user_id in (select id from u)
	union all select t::text from changes t where org_id in (select id from o)) rows`

// To whoever works in one organization, what is in another one is as if it were
// not: every operation answers the same to a foreign reference as to one to
// nothing, tells nothing of what is foreign, and leaves it as it is. A new
// operation or argument takes part by itself.
func TestSwap(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	limits := admission.DefaultLimits
	limits.Cost *= 10 // all there is of everything is more than one may ask for
	b := graphtest.New(t, traced).WithOptions(t, transport.Options{Limits: &limits})
	s := newSwap(t, b, traced)
	forgetAttempts(t, b)
	var all []string
	for _, p := range access.SystemPermissions {
		all = append(all, string(p.Key))
	}
	viewer := b.Ask(t, `{ role(by: {key: "roster-viewer"}) { permissions { key } } }`).Texts("role.permissions", "key")
	actors := map[string]string{
		"who holds all in acme":       b.Holding(t, "acme", append(all, "invoices:read")...),
		"acme's administrator":        b.StandingFor(t, "olivia@example.com", "acme", all...),
		"acme's viewer":               b.Holding(t, "acme", viewer...),
		"a plain member":              b.StandingFor(t, "ada@example.com", "acme", all...),
		"a plain member, everywhere":  b.StandingFor(t, "ada@example.com", "", all...),
		"who holds all in initech":    b.Holding(t, "initech", all...),
		"who holds nothing":           b.Holding(t, ""),
		"who is signed in to acme":    b.SignedIn(t, "olivia@example.com", "acme"),
		"the key of a suspended user": b.StandingFor(t, "sam@example.com", "acme", all...),
		"nobody":                      "",
	}
	b.Ask(t, `mutation { suspendUser(input: {user: {username: "sam"}}) { user { id } } }`)
	// Somebody whom acme does not know has changed something there.
	boss := b.StandingFor(t, "gus@secret.example", "", all...)
	if a := b.As(t, boss, `mutation { updateOrganization(input: {organization: {code: "acme"}, name: "Acme"}) { organization { id } }
		grantRoles(input: {organization: {code: "acme"}, users: [{username: "olivia"}], roles: [{key: "clerk"}]}) { memberships { id } }
		invite(input: {email: "by-gus@example.com", organization: {code: "acme"}, sendEmail: false}) { link } }`, nil); a.Codes() != "" {
		t.Fatalf("%s", a.Body)
	}
	before := graphtest.Rows[string](t, b, foreignRows)[0]
	for _, d := range ownTypes(s.schema) {
		for _, f := range ownFields(d) {
			if d.Kind != ast.Object {
				continue
			}
			places := s.places(t, f)
			if _, known := ways[d.Name]; !known {
				if len(places) > 0 {
					t.Errorf("%s.%s takes a reference: add %s to ways", d.Name, f.Name, d.Name)
				}
				continue
			}
			if d != s.schema.Mutation {
				s.look(t, actors, d.Name, f)
			}
			for _, place := range slices.Sorted(maps.Keys(places)) {
				for i, others := range company {
					s.others = others
					for who, key := range actors {
						if !*isLong && !slices.Contains(insiders, who) && (i > 0 || !slices.Contains(outsiders, who)) {
							continue
						}
						s.compare(t, who, key, d.Name, f, place, places[place])
					}
				}
			}
		}
	}
	if after := graphtest.Rows[string](t, b, foreignRows)[0]; after != before {
		t.Error("what is foreign has changed")
	}
	const least = 8_000
	if s.cells < least {
		t.Errorf("%d cells, want %d at least", s.cells, least)
	}
	t.Logf("%d cells", s.cells)
}
