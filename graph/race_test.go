package graph_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"roster/graph/graphtest"
)

// racers is how many requests run at the same moment.
const racers = 12

// race runs documents at the same moment, and counts how they ended: by their
// codes, empty for success.
func race(t *testing.T, b *graphtest.Server, n int, document func(i int) string) map[string]int {
	t.Helper()
	start := make(chan struct{})
	ended := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		text := document(i)
		wg.Go(func() {
			<-start
			a := b.Insist(t, b.Key, text)
			if ended[i] = a.Codes(); strings.Contains(ended[i], "INTERNAL") {
				t.Errorf("%s: %s", text, a.Body)
			}
		})
	}
	close(start)
	wg.Wait()
	counts := map[string]int{}
	for _, codes := range ended {
		counts[codes]++
	}
	return counts
}

// forms are one text in the forms of Unicode that are taken to be the same.
var forms = map[string][]string{
	"letter case":           {"grace", "GRACE", "Grace"},
	"ligature":              {"ofﬁce", "office", "OFFICE"},
	"full width":            {"ａｄａ", "ada", "ＡＤＡ"},
	"composed":              {"zoe\u0308", "zoë", "ZOË"},
	"sharp s":               {"strasse", "straße", "STRASSE", "STRAẞE"},
	"Turkish dotted i":      {"İpek", "i̇pek"},
	"Greek final sigma":     {"οδοσ", "οδος", "ΟΔΟΣ"},
	"long s and kelvin":     {"ſkin", "\u017fkin", "SKIN", "s\u212ain"},
	"Hangul":                {"\ud55c", "\u1112\u1161\u11ab"},
	"ohm and angstrom":      {"ω1", "\u21261", "Ω1"},
	"circled and subscript": {"a①", "a1", "A₁"},
	"Cherokee":              {"\u13a0x", "\uab70x"},
}

// formsOf are the forms of a text that a field takes: a username has none that is for
// compatibility (PRECIS), and only full width of what is mapped.
func formsOf(field, form string) []string {
	if field != "username" {
		return forms[form]
	}
	return slices.DeleteFunc(slices.Clone(forms[form]), func(text string) bool {
		return strings.ContainsAny(text, "ﬁſ①₁")
	})
}

// One text, in whatever form, is taken once: one wins, all others hear CONFLICT.
func TestRacesForNames(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	for name, test := range map[string]struct{ field, document, count string }{
		"email":        {"input.email", `createUser(input: {email: "%s@example.com"}) { user { id } }`, "select count(*) from users where email_key like '%@%'"},
		"username":     {"input.username", `createUser(input: {username: "%s"}) { user { id } }`, "select count(*) from users where username_key is not null"},
		"external id":  {"input.externalId", `createUser(input: {externalId: "%s"}) { user { id } }`, "select count(*) from users where external_id_key is not null"},
		"organization": {"input.externalId", `createOrganization(input: {name: "x", externalId: "%s"}) { organization { id } }`, "select count(*) from organizations where external_id_key is not null"},
	} {
		t.Run(name, func(t *testing.T) {
			won := 0
			for form := range forms {
				texts := formsOf(name, form)
				counts := race(t, b, racers, func(i int) string { return "mutation { " + fmt.Sprintf(test.document, texts[i%len(texts)]) + " }" })
				if won++; !maps.Equal(counts, map[string]int{"": 1, "CONFLICT": racers - 1}) {
					t.Errorf("%s, %s: %v", name, form, counts)
				}
				a := b.Refused(t, "CONFLICT", "mutation { "+fmt.Sprintf(test.document, texts[0])+" }")
				if a.Field(0) != test.field {
					t.Errorf("%s: the field is %q", name, a.Field(0))
				}
			}
			if n := graphtest.Rows[int](t, b, test.count)[0]; n != won {
				t.Errorf("%s: %d rows, want %d", name, n, won)
			}
		})
	}
	// These are other letters, and other names.
	for _, other := range []string{"ıpek", "ipek", "iрek"} {
		b.Ask(t, fmt.Sprintf(`mutation { createUser(input: {username: "%s"}) { user { id } } }`, other))
	}
}

func TestRacesForKeys(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	for name, document := range map[string]string{
		"code":           `createOrganization(input: {code: "acme", name: "%d"}) { organization { id } }`,
		"role key":       `createRole(input: {key: "clerk", name: "%d"}) { role { id } }`,
		"permission key": `createPermission(input: {key: "a:b", name: "%d"}) { permission { id } }`,
	} {
		t.Run(name, func(t *testing.T) {
			counts := race(t, b, racers, func(i int) string { return fmt.Sprintf("mutation { "+document+" }", i) })
			if !maps.Equal(counts, map[string]int{"": 1, "CONFLICT": racers - 1}) {
				t.Errorf("%s: %v", name, counts)
			}
		})
	}
	// A code that is made from the name is always a free one.
	counts := race(t, b, racers, func(int) string {
		return `mutation { createOrganization(input: {name: "Café"}) { organization { code } } }`
	})
	if codes := b.Ask(t, `{ organizations(first: 100, filter: {search: "café"}) { nodes { code } } }`).Texts("organizations.nodes", "code"); counts[""] != racers || len(codes) != racers {
		t.Errorf("%v, %v", counts, codes)
	}
	// Of many who saw the same version, one changes it.
	b.Ask(t, `mutation { createUser(input: {email: "v@example.com"}) { user { version } } }`)
	counts = race(t, b, racers, func(i int) string {
		return fmt.Sprintf(`mutation { updateUser(input: {user: {email: "v@example.com"}, ifVersion: 1, givenName: "n%d"}) { user { version } } }`, i)
	})
	if !maps.Equal(counts, map[string]int{"": 1, "CONFLICT": racers - 1}) {
		t.Errorf("ifVersion: %v", counts)
	}
	// The same grant at the same moment is one grant, and each term has a grant of its own.
	b.Ask(t, `mutation { addMembers(input: {organization: {code: "acme"}, users: [{email: "v@example.com"}], roles: []}) { memberships { id } } }`)
	counts = race(t, b, racers, func(int) string {
		return `mutation { grantRoles(input: {organization: {code: "acme"}, users: [{email: "v@example.com"}], roles: [{key: "clerk"}]}) { memberships { id } } }`
	})
	if n := graphtest.Rows[int](t, b, "select count(*) from membership_roles")[0]; counts[""] != racers || n != 1 {
		t.Errorf("%v, and %d grants", counts, n)
	}
	counts = race(t, b, racers, func(i int) string {
		return fmt.Sprintf(`mutation { grantRoles(input: {organization: {code: "acme"}, users: [{email: "v@example.com"}], roles: [{key: "clerk"}], startsAt: "2070-01-01T00:00:00Z", endsAt: "209%d-01-01T00:00:00Z"}) { memberships { id } } }`, i%3)
	})
	if n := graphtest.Rows[int](t, b, "select count(*) from membership_roles")[0]; counts[""] != racers || n != 4 {
		t.Errorf("%v, and %d grants for four terms", counts, n)
	}
	// Users who are added twice at the same moment join once.
	b.Ask(t, `mutation { createOrganization(input: {code: "join", name: "Join"}) { organization { id } } }`)
	counts = race(t, b, racers, func(int) string {
		return `mutation { addMembers(input: {organization: {code: "join"}, users: [{email: "v@example.com"}]}) { memberships { id user { email } } } }`
	})
	if counts[""] != racers {
		t.Errorf("joining: %v", counts)
	}
}

// Whatever happens at the same moment, no user is left without an organization,
// nothing is held by those who have left, and there is one default organization
// which is active.
func TestRacesKeepInvariants(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, `mutation {
		createPermission(input: {key: "p"}) { permission { id } }
		createRole(input: {key: "r", permissions: [{key: "p"}]}) { role { id } }
		a: createOrganization(input: {code: "a", name: "A"}) { organization { id } }
		b: createOrganization(input: {code: "b", name: "B"}) { organization { id } }
	}`)
	const users = 6
	user := func(i int) string { return fmt.Sprintf(`{email: "u%d@example.com"}`, i%users) }
	b.Ask(t, graphtest.Document("mutation", 0, users, func(i int) string {
		return fmt.Sprintf(`createUser(input: {email: "u%d@example.com", organizations: [{code: "a"}, {code: "b"}], roles: [{key: "r"}]}) { user { id } }`, i)
	}))
	check := func(name string, counts map[string]int, allowed string) {
		t.Helper()
		for codes := range counts {
			for _, code := range strings.Fields(codes) { // one for each fault
				if !slices.Contains(strings.Fields(allowed), code) {
					t.Errorf("%s: %v", name, counts)
				}
			}
		}
		for what, query := range map[string]string{
			"users without an organization": `select count(*) from users u where deleted_at is null and not exists (select from memberships m where m.user_id = u.id)`,
			"grants of those who have left": `select count(*) from (select org_id, user_id from membership_roles where live union all select org_id, user_id from membership_permissions where live) g
				where not exists (select from memberships m where m.org_id = g.org_id and m.user_id = g.user_id)`,
			"grants of deleted roles":              `select count(*) from membership_roles g join roles r on r.id = g.role_id where g.live and r.deleted_at is not null`,
			"default organizations but one active": `select abs(count(*) - 1) from organizations where is_default and status = 'ACTIVE' and deleted_at is null`,
			"members of deleted organizations":     `select count(*) from memberships m join organizations o on o.id = m.org_id where o.deleted_at is not null`,
		} {
			t.Run(what, func(t *testing.T) {
				if n := graphtest.Rows[int](t, b, query)[0]; n != 0 {
					t.Errorf("%s: %d %s", name, n, what)
				}
			})
		}
	}
	// Out of both organizations at once.
	counts := race(t, b, racers, func(i int) string {
		return fmt.Sprintf(`mutation { removeMembers(input: {organization: {code: "%s"}, users: [%s]}) { deletedIds } }`, []string{"a", "b"}[i/users%2], user(i))
	})
	check("removing from two", counts, "LAST_ORGANIZATION NOT_FOUND")
	if counts[""] != users {
		t.Errorf("%v, want %d who left", counts, users)
	}
	b.Ask(t, graphtest.Document("mutation", 0, users, func(i int) string {
		return fmt.Sprintf(`addMembers(input: {organization: {code: "%s"}, users: [%s]}) { memberships { id } }`, []string{"a", "b"}[i%2], user(i))
	}))
	b.Ask(t, graphtest.Document("mutation", 0, users, func(i int) string {
		return fmt.Sprintf(`addMembers(input: {organization: {code: "%s"}, users: [%s]}) { memberships { id } }`, []string{"b", "a"}[i%2], user(i))
	}))
	check("granting and removing", race(t, b, racers, func(i int) string {
		if i%2 == 0 {
			return fmt.Sprintf(`mutation { grantRoles(input: {organization: {code: "a"}, users: [%s], roles: [{key: "r"}]}) { memberships { id } } }`, user(i/2))
		}
		return fmt.Sprintf(`mutation { removeMembers(input: {organization: {code: "a"}, users: [%s]}) { deletedIds } }`, user(i/2))
	}), "NOT_FOUND LAST_ORGANIZATION")
	check("deleting a role that is granted", race(t, b, racers, func(i int) string {
		switch {
		case i == racers/2:
			return `mutation { deleteRole(input: {role: {key: "r"}}) { deletedIds } }`
		case i%3 == 0:
			return fmt.Sprintf(`mutation { createUser(input: {username: "n%d", organizations: [{code: "b"}], roles: [{key: "r"}]}) { user { id } } }`, i)
		case i%3 == 1:
			return fmt.Sprintf(`mutation { moveMember(input: {user: %s, from: {code: "b"}, to: {code: "a"}}) { membership { id } } }`, user(i))
		}
		return fmt.Sprintf(`mutation { grantRoles(input: {organization: {code: "b"}, users: [%s], roles: [{key: "r"}]}) { memberships { id } } }`, user(i))
	}), "NOT_FOUND")
	check("switching the default organization", race(t, b, racers, func(i int) string {
		code := []string{"a", "b", "default"}[i/4%3]
		switch i % 4 {
		case 0:
			return fmt.Sprintf(`mutation { updateSettings(input: {defaultOrganization: {code: "%s"}}) { settings { allowSelfSignUp } } }`, code)
		case 1:
			return fmt.Sprintf(`mutation { suspendOrganization(input: {organization: {code: "%s"}}) { organization { id } } }`, code)
		case 2:
			return fmt.Sprintf(`mutation { restoreOrganization(input: {organization: {code: "%s"}}) { organization { id } } }`, code)
		}
		return fmt.Sprintf(`mutation { createUser(input: {username: "d%d"}) { user { id } } }`, i)
	}), "INVALID")
	check("deleting an organization", race(t, b, racers, func(i int) string {
		switch {
		case i == racers/2:
			return `mutation { updateSettings(input: {defaultOrganization: {code: "default"}}) { settings { allowSelfSignUp } } }`
		case i%6 == 1:
			return `mutation { deleteOrganization(input: {organization: {code: "a"}}) { deletedIds } }`
		case i%6 == 2:
			return fmt.Sprintf(`mutation { createUser(input: {username: "o%d", organizations: [{code: "a"}]}) { user { id } } }`, i)
		case i%6 == 3:
			return fmt.Sprintf(`mutation { moveMember(input: {user: %s, from: {code: "b"}, to: {code: "a"}}) { membership { id } } }`, user(i))
		case i%6 == 4:
			return fmt.Sprintf(`mutation { deleteUser(input: {user: %s}) { deletedIds } }`, user(i))
		}
		return fmt.Sprintf(`mutation { addMembers(input: {organization: {code: "a"}, users: [%s]}) { memberships { id } } }`, user(i))
	}), "NOT_FOUND INVALID LAST_ORGANIZATION")
}

// Documents that change the same things in opposite orders wait for one another
// in a circle, out of which the database throws one: all are carried out.
func TestDocumentsInOppositeOrders(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, `mutation { a: createUser(input: {username: "a"}) { user { id } } b: createUser(input: {username: "b"}) { user { id } } }`)
	const racers = 8 // each may cost the second after which the database looks for a circle
	counts := race(t, b, racers, func(i int) string {
		names := []string{"a", "b"}
		if i%2 == 0 {
			names = []string{"b", "a"}
		}
		return fmt.Sprintf(`mutation { x: updateUser(input: {user: {username: "%s"}, givenName: "%d"}) { user { id } }
			y: updateUser(input: {user: {username: "%s"}, givenName: "%d"}) { user { id } } }`, names[0], i, names[1], i)
	})
	if counts[""] != racers {
		t.Errorf("%v, want %d carried out", counts, racers)
	}
	if versions := graphtest.Rows[int](t, b, `select version from users where username in ('a', 'b')`); versions[0] != racers+1 || versions[1] != racers+1 {
		t.Errorf("versions %v, want %d", versions, racers+1)
	}
}
