package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/access"
	"roster/db"
	"roster/graph/graphtest"
)

// rankSeed makes people who hold roster:imports:write, or held it, in various ways,
// and other people. All belong to acme and to the default organization.
const rankSeed = `mutation {
	createPermission(input: {key: "invoices:read"}) { permission { id } }
	clerk: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
	owner: createRole(input: {key: "owner", permissions: [{key: "roster:imports:write"}, {key: "invoices:read"}]}) { role { id } }
	a: createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } }
	g: createOrganization(input: {code: "globex", name: "Globex"}) { organization { id } }
	USERS
	r: grantRoles(input: {organization: {code: "acme"}, users: [{username: "owner"}, {username: "suspended"}, {username: "former"}], roles: [{key: "owner"}]}) { memberships { id } }
	s: grantPermissions(input: {organization: {code: "acme"}, users: [{username: "soon"}], permissions: [{key: "roster:imports:write"}], startsAt: "2080-01-01T00:00:00Z"}) { memberships { id } }
	b: addMembers(input: {organization: {code: "roster"}, users: [{username: "boss"}], roles: [{key: "owner-of-all"}]}) { memberships { id } }
	e: addMembers(input: {organization: {code: "globex"}, users: [{username: "elsewhere"}], roles: [{key: "owner"}]}) { memberships { id } }
	c: grantRoles(input: {organization: {code: "acme"}, users: [ALL], roles: [{key: "clerk"}]}) { memberships { id } }
	KEYS
	f: revokeRoles(input: {organization: {code: "acme"}, users: [{username: "former"}], roles: [{key: "owner"}]}) { memberships { id } }
	suspendUser(input: {user: {username: "suspended"}}) { user { id } }
}`

// rankOf says of each person where they hold roster:imports:write, as far as rank is
// concerned: nowhere, in acme (where what is held for the business counts as well), or
// elsewhere.
var rankOf = map[string]string{
	"owner": "acme", "soon": "acme", "suspended": "acme", "boss": "acme", "elsewhere": "elsewhere", "plain": "", "former": "",
}

// rankCase is a mutation that acts on PERSON, or on the key KEY of theirs.
type rankCase struct {
	document string
	// whole is true if it acts on the user as a whole: then what they hold elsewhere
	// counts too.
	whole bool
	// open says why anybody with the permission of the mutation may do it, if so.
	open string
}

// rankCases has every mutation whose input names a user or a key; the name of a case
// begins with the mutation's.
var rankCases = map[string]rankCase{
	"updateUser: email":       {document: `(input: {user: {username: "PERSON"}, email: "taken@over.example"}) { user { id } }`, whole: true},
	"updateUser: username":    {document: `(input: {user: {username: "PERSON"}, username: "other"}) { user { id } }`, whole: true},
	"updateUser: phone":       {document: `(input: {user: {username: "PERSON"}, phone: "+442079460958"}) { user { id } }`, whole: true},
	"updateUser: external id": {document: `(input: {user: {username: "PERSON"}, externalId: null}) { user { id } }`, whole: true},
	"updateUser: profile": {document: `(input: {user: {username: "PERSON"}, username: "PERSON", givenName: "X", familyName: null, pictureUrl: null, properties: {}}) { user { id } }`,
		open: "nobody is found by it"},
	"suspendUser":              {document: `(input: {user: {username: "PERSON"}}) { user { id } }`, whole: true},
	"restoreUser":              {document: `(input: {user: {username: "PERSON"}}) { user { id } }`, whole: true},
	"offboardUser":             {document: `(input: {user: {username: "PERSON"}}) { user { id } }`, whole: true},
	"deleteUser":               {document: `(input: {user: {username: "PERSON"}}) { deletedIds }`, whole: true},
	"setTemporaryPassword":     {document: `(input: {user: {username: "PERSON"}, password: "` + graphtest.Password + `"}) { user { id } }`, whole: true},
	"endSession":               {document: `(input: {session: "SESSION"}) { endedSessions }`, whole: true},
	"unlinkIdentity":           {document: `(input: {user: {username: "PERSON"}, identity: "IDENTITY"}) { user { id } }`, whole: true},
	"removeMembers":            {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}]}) { deletedIds }`},
	"moveMember":               {document: `(input: {user: {username: "PERSON"}, from: {code: "acme"}, to: {code: "globex"}, keepGrants: false}) { membership { id } }`},
	"suspendMember":            {document: `(input: {organization: {code: "acme"}, user: {username: "PERSON"}}) { membership { id } }`},
	"restoreMember":            {document: `(input: {organization: {code: "acme"}, user: {username: "PERSON"}}) { membership { id } }`},
	"revokeRoles":              {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}], roles: [{key: "owner"}]}) { memberships { id } }`},
	"revokeRoles: with an end": {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}], roles: [{key: "owner"}], endsAt: "2079-01-01T00:00:00Z"}) { memberships { id } }`},
	"revokeRoles: ordinary": {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}], roles: [{key: "clerk"}]}) { memberships { id } }`,
		open: "it takes nothing of Roster itself"},
	"revokePermissions": {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}], permissions: [{key: "roster:imports:write"}]}) { memberships { id } }`},
	"revokePermissions: ordinary": {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}], permissions: [{key: "invoices:read"}]}) { memberships { id } }`,
		open: "it takes nothing of Roster itself"},
	"createApiKey": {document: `(input: {name: "x", permissions: [], organization: {code: "acme"}, user: {username: "PERSON"}}) { apiKey { id } }`},
	"createApiKey: for the business": {document: `(input: {name: "x", permissions: [], user: {username: "PERSON"}}) { apiKey { id } }`,
		whole: true},
	"revokeApiKey":                   {document: `(input: {apiKey: "KEY"}) { apiKey { id } }`},
	"revokeApiKey: for the business": {document: `(input: {apiKey: "KEY_EVERYWHERE"}) { apiKey { id } }`, whole: true},
	"adoptApiKey":                    {document: `(input: {apiKey: "KEY"}) { apiKey { id } }`},
	"adoptApiKey: for the business":  {document: `(input: {apiKey: "KEY_EVERYWHERE"}) { apiKey { id } }`, whole: true},
	"resendInvitation":               {document: `(input: {invitation: "INVITATION"}) { link }`, open: "nobody holds anything by it yet"},
	"revokeInvitation":               {document: `(input: {invitation: "INVITATION"}) { link }`, open: "nobody holds anything by it yet"},
	"updateApplication":              {document: `(input: {application: "APPLICATION", name: "y"}) { application { id } }`, open: "nobody else answers for what it has made"},
	"updateApplication: permissions": {document: `(input: {application: "APPLICATION", permissions: []}) { application { id } }`},
	"rollApplicationSecret":          {document: `(input: {application: "APPLICATION"}) { clientSecret }`},
	"deleteApplication":              {document: `(input: {application: "APPLICATION"}) { deletedIds }`},
	"createUser":                     {document: `(input: {username: "new"}) { user { id } }`, open: "it makes the user whom it names"},
	"addMembers":                     {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}]}) { memberships { id } }`, open: "it gives"},
	"grantRoles":                     {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}], roles: [{key: "clerk"}]}) { memberships { id } }`, open: "it gives"},
	"grantPermissions":               {document: `(input: {organization: {code: "acme"}, users: [{username: "PERSON"}], permissions: [{key: "invoices:read"}]}) { memberships { id } }`, open: "it gives"},
}

// rankWorld is a business with the people above, and keys that stand for them.
type rankWorld struct {
	*graphtest.Server
	// keys are ids, by "person" for acme and "person everywhere" for the business. identities
	// are ids by person.
	keys, identities map[string]string
	// invitation is the id of an invitation to acme.
	invitation string
	// applications are ids, by person: each answers for the person's key for acme.
	applications map[string]string
}

func newRankWorld(t *testing.T) *rankWorld {
	t.Helper()
	b := graphtest.New(t)
	var users, all, keys []string
	for person := range rankOf {
		users = append(users, fmt.Sprintf(`u_%s: createUser(input: {username: %[1]q, externalId: %[1]q, organizations: [{code: "acme"}, {code: "default"}]}) { user { id } }`, person))
		all = append(all, fmt.Sprintf(`{username: %q}`, person))
		keys = append(keys, fmt.Sprintf(`k_%s: createApiKey(input: {name: "x", permissions: [], organization: {code: "acme"}, user: {username: %[1]q}}) { apiKey { id } }
			w_%[1]s: createApiKey(input: {name: "x", permissions: [], user: {username: %[1]q}}) { apiKey { id } }`, person))
	}
	// In the root, a role may contain permissions of Roster only.
	b.Ask(t, `mutation { createRole(input: {key: "owner-of-all", permissions: [{key: "roster:imports:write"}]}) { role { id } } }`)
	made := b.Ask(t, strings.NewReplacer("USERS", strings.Join(users, "\n"), "ALL", strings.Join(all, ", "), "KEYS", strings.Join(keys, "\n")).Replace(rankSeed))
	w := &rankWorld{b, map[string]string{}, map[string]string{}, "", map[string]string{}}
	w.invitation, _ = invite(t, b, b.Key, object{"email": "invited@example.com", "organization": object{"code": "acme"}, "sendEmail": false})
	for person := range rankOf {
		newIdentity(t, b, person) // which is left
		w.identities[person] = newIdentity(t, b, person)
		w.applications[person] = w.Ask(t, `mutation { createApplication(input: {name: "x", kind: MACHINE}) { application { id } } }`).Text("createApplication.application.id")
		app, err := db.ParseID[db.ClientKind](w.applications[person])
		graphtest.Must(t, err)
		key, err := db.ParseID[db.APIKeyKind](made.Text("k_" + person + ".apiKey.id"))
		graphtest.Must(t, err)
		w.Execute(t, "update api_keys set responsible_id = ? where id = ?", app, key)
		w.keys[person], w.keys[person+" everywhere"] = made.Text("k_"+person+".apiKey.id"), made.Text("w_"+person+".apiKey.id")
	}
	return w
}

// on returns the document of a case that acts on the person.
func (w *rankWorld) on(t *testing.T, name, person string) string {
	t.Helper()
	mutation, _, _ := strings.Cut(name, ":")
	text := rankCases[name].document
	if before, after, needed := strings.Cut(text, "SESSION"); needed { // which makes one
		text = before + w.session(t, person) + after
	}
	text = strings.NewReplacer("PERSON", person, "IDENTITY", w.identities[person], "APPLICATION", w.applications[person], "INVITATION", w.invitation, "KEY_EVERYWHERE", w.keys[person+" everywhere"], "KEY", w.keys[person]).Replace(text)
	dryRun := "@dryRun"
	if mutation == "setTemporaryPassword" || mutation == "rollApplicationSecret" { // which carries a credential
		dryRun = ""
	}
	return "mutation " + dryRun + " { " + mutation + text + " }"
}

// session starts a session of the person, since some mutations end them, and returns its id.
func (w *rankWorld) session(t *testing.T, person string) string {
	t.Helper()
	return graphtest.Rows[db.SessionID](t, w.Server, `insert into sessions (user_id, id, hash, methods, created_at, last_used_at, expires_at)
		select id, gen_random_uuid(), '', '{code}', now(), now(), now() + interval '1 day' from users where username = $1 returning id`, person)[0].String()
}

// Whoever acts on a person must hold every permission of Roster that the person holds,
// or will hold: in the organization, or anywhere for the user as a whole. A mutation
// whose input names a user or a key takes part by itself, and needs a case.
func TestRank(t *testing.T) {
	t.Parallel()
	w := newRankWorld(t)
	all := slices.Collect(func(yield func(string) bool) {
		for _, p := range access.SystemPermissions {
			if !yield(string(p.Key)) {
				return
			}
		}
	})
	but := func(lacking string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(key string) bool { return key == lacking })
	}
	const held = "roster:imports:write"
	lower, peer := w.Holding(t, "", but(held)...), w.Holding(t, "", all...)
	lowerInAcme, peerInAcme := w.Holding(t, "acme", but(held)...), w.Holding(t, "acme", all...)
	for name, c := range rankCases {
		t.Run(name, func(t *testing.T) {
			for person, holds := range rankOf {
				refused := c.open == "" && (holds == "acme" || c.whole && holds != "")
				w.wantRank(t, "lower", w.As(t, lower, w.on(t, name, person), nil), person, refused, held)
				w.wantRank(t, "peer", w.As(t, peer, w.on(t, name, person), nil), person, false, "")
				if inOrganization := strings.Contains(c.document, "acme") || name == "revokeApiKey" || name == "adoptApiKey"; inOrganization && !c.whole && !strings.Contains(c.document, "globex") {
					a := w.As(t, lowerInAcme, w.on(t, name, person), nil)
					w.wantRank(t, "lower in acme", a, person, refused, "user holds.")
					w.wantRank(t, "peer in acme", w.As(t, peerInAcme, w.on(t, name, person), nil), person, false, "")
				}
			}
		})
	}
	for _, f := range ownFields(graphtest.LoadSchema(t, "../schema.graphqls").Mutation) {
		if acts := namesSomebody(graphtest.LoadSchema(t, "../schema.graphqls"), f); !acts {
			continue
		}
		known := false
		for name := range rankCases {
			known = known || name == f.Name || strings.HasPrefix(name, f.Name+":")
		}
		if !known {
			t.Errorf("%s names a user or a key: add it to rankCases", f.Name)
		}
	}
}

// wantRank wants an answer that is refused because of rank, and says so, or one that
// is not. Other errors have nothing to do with rank.
func (w *rankWorld) wantRank(t *testing.T, who string, a *graphtest.Answer, person string, refused bool, says string) {
	t.Helper()
	got := false
	for i := range a.Errors {
		if a.Code(i) == "FORBIDDEN" {
			got = strings.HasPrefix(a.Errors[i].Message, "You must hold every permission of Roster") && strings.Contains(a.Errors[i].Message, says) &&
				strings.HasPrefix(a.Field(i), "input.")
		} else {
			t.Errorf("%s on %s: %s", who, person, a.Body)
		}
	}
	if got != refused || !refused && len(a.Errors) > 0 {
		t.Errorf("%s on %s: %s\nwant it refused: %t", who, person, a.Body, refused)
	}
}

// namesSomebody reports whether the input of a mutation names a user, a member or an
// API key, or describes a new user.
func namesSomebody(schema *ast.Schema, f *ast.FieldDefinition) bool {
	for _, argument := range f.Arguments {
		for _, field := range schema.Types[argument.Type.Name()].Fields {
			id := field.Type.Name() == "ID" && field.Name != "provider" && field.Name != "import" && schema.Types[argument.Type.Name()].Directives.ForName("oneOf") == nil
			if field.Type.Name() == "UserRef" || id || f.Name == "createUser" {
				return true
			}
		}
	}
	return false
}

// People act on themselves, whatever their key may do, and not on others by a key that
// may do less than they do.
func TestRankOfOneself(t *testing.T) {
	t.Parallel()
	w := newRankWorld(t)
	w.Ask(t, `mutation {
		grantPermissions(input: {organization: {code: "roster"}, users: [{username: "boss"}], permissions: [{key: "roster:users:write"}, {key: "roster:keys:write"}]}) { memberships { id } }
		b: grantPermissions(input: {organization: {code: "acme"}, users: [{username: "owner"}, {username: "soon"}], permissions: [{key: "roster:members:write"}]}) { memberships { id } }
		k: updateUser(input: {user: {username: "boss"}, email: "boss@example.com"}) { user { id } }
		o: updateUser(input: {user: {username: "owner"}, email: "owner@example.com"}) { user { id } }
	}`)
	boss := w.StandingFor(t, "boss@example.com", "", "roster:users:write", "roster:keys:write")
	owner := w.StandingFor(t, "owner@example.com", "acme", "roster:members:write")
	for _, name := range []string{"updateUser: email", "suspendUser", "offboardUser", "deleteUser", "revokeApiKey", "revokeApiKey: for the business"} {
		w.wantRank(t, "boss", w.As(t, boss, w.on(t, name, "boss"), nil), "boss", false, "")
		w.wantRank(t, "boss", w.As(t, boss, w.on(t, name, "owner"), nil), "owner", true, "roster:imports:write")
	}
	for _, name := range []string{"removeMembers", "revokeRoles", "revokePermissions"} {
		w.wantRank(t, "owner", w.As(t, owner, w.on(t, name, "owner"), nil), "owner", false, "")
		w.wantRank(t, "owner", w.As(t, owner, w.on(t, name, "soon"), nil), "soon", true, "")
	}
}

// A role is everywhere: only those who hold a permission of Roster take it out of one.
func TestRankOfRoles(t *testing.T) {
	t.Parallel()
	w := newRankWorld(t)
	lower, peer := w.Holding(t, "", "roster:roles:write"), w.Holding(t, "", "roster:roles:write", "roster:imports:write")
	for document, refused := range map[string]bool{
		`deleteRole(input: {role: {key: "owner"}}) { deletedIds }`:                                                                                   true,
		`deleteRole(input: {role: {key: "clerk"}}) { deletedIds }`:                                                                                   false,
		`removeRolePermissions(input: {role: {key: "owner"}, permissions: [{key: "roster:imports:write"}]}) { role { id } }`:                         true,
		`removeRolePermissions(input: {role: {key: "owner"}, permissions: [{key: "invoices:read"}]}) { role { id } }`:                                false,
		`removeRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "roster:imports:write"}]}) { role { id } }`:                         false,
		`updateRole(input: {role: {key: "owner"}, name: "Other"}) { role { id } }`:                                                                   false,
		`deletePermission(input: {permission: {key: "invoices:read"}}) { deletedIds }`:                                                               false,
		`addRolePermissions(input: {role: {key: "owner"}, permissions: [{key: "roster:imports:write"}]}) { role { id } }`:                            false,
		`removeRolePermissions(input: {role: {key: "owner"}, permissions: [{key: "invoices:read"}, {key: "roster:imports:write"}]}) { role { id } }`: true,
	} {
		t.Run(document, func(t *testing.T) {
			want := map[bool]string{true: "FORBIDDEN", false: ""}[refused]
			if a := w.As(t, lower, "mutation @dryRun { "+document+" }", nil); a.Codes() != want || refused && !strings.Contains(a.Errors[0].Message, "roster:imports:write") {
				t.Errorf("%s: %s", document, a.Body)
			}
			if a := w.As(t, peer, "mutation @dryRun { "+document+" }", nil); a.Codes() != "" {
				t.Errorf("%s by a peer: %s", document, a.Body)
			}
		})
	}
}
