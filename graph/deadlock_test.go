package graph_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"errors"

	"roster/graph/graphtest"
)

// deadlocks is a tracer that counts the statements that PostgreSQL ended because they
// waited in a circle.
type deadlocks struct {
	atomic.Int64
	t testing.TB
}

type textKey struct{}

func (d *deadlocks) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, textKey{}, data.SQL)
}

func (d *deadlocks) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if refused, ok := errors.AsType[*pgconn.PgError](data.Err); ok && refused.Code == "40P01" {
		d.Add(1)
		d.t.Logf("%s: %s %s %s", ctx.Value(textKey{}), refused.Detail, refused.Where, refused.Hint)
	}
}

// The documents of several writers name the same few things in all orders, and change
// them in every way: no document waits for another one that waits for it.
func TestDocumentsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	met := &deadlocks{t: t}
	b := graphtest.New(t, met)
	const users, orgs, roles = 6, 3, 3
	user := func() string { return fmt.Sprintf(`{username: "u%d"}`, rand.IntN(users)) }
	org := func() string { return fmt.Sprintf(`{code: "o%d"}`, rand.IntN(orgs)) }
	role := func() string { return fmt.Sprintf(`{key: "r%d"}`, rand.IntN(roles)) }
	permission := func() string { return fmt.Sprintf(`{key: "p%d"}`, rand.IntN(roles)) }
	two := func(of func() string) string { return of() + " " + of() }
	fresh := func() string { return fmt.Sprintf("new%d", rand.IntN(8)) }
	doomed := func() string { return fmt.Sprintf("doomed%d", rand.IntN(8)) }
	domains := func() string { // mostly free ones, which are given up soon
		if rand.IntN(2) == 0 {
			return ""
		}
		return fmt.Sprintf(`, autoJoinDomains: ["d%d.example", "d%d.example"]`, rand.IntN(40), rand.IntN(40))
	}
	b.Ask(t, graphtest.Document("mutation", 0, 8, func(i int) string {
		return fmt.Sprintf(`createUser(input: {externalId: "doomed%d"}) { user { id } }`, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, 8, func(i int) string {
		return fmt.Sprintf(`createOrganization(input: {name: "D", externalId: "doomed%d"}) { organization { id } }`, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, 8, func(i int) string {
		return fmt.Sprintf(`createPermission(input: {key: "doomed%d"}) { permission { id } }`, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, 8, func(i int) string {
		return fmt.Sprintf(`createRole(input: {key: "doomed%d", permissions: [{key: "doomed%d"}]}) { role { id } }`, i, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, roles, func(i int) string {
		return fmt.Sprintf(`createPermission(input: {key: "p%d"}) { permission { id } }`, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, roles, func(i int) string {
		return fmt.Sprintf(`createRole(input: {key: "r%d", permissions: [{key: "p%d"}]}) { role { id } }`, i, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, orgs, func(i int) string {
		return fmt.Sprintf(`createOrganization(input: {code: "o%d", name: "O"}) { organization { id } }`, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, users, func(i int) string {
		return fmt.Sprintf(`createUser(input: {username: "u%d", organizations: [{code: "default"}, {code: "o0"}, {code: "o1"}, {code: "o2"}], roles: [{key: "r0"}]}) { user { id } }`, i)
	}))
	mutations := map[string]func() string{
		"updateUser": func() string {
			return fmt.Sprintf(`(input: {user: %s, givenName: "%d"}) { user { id } }`, user(), rand.Int())
		},
		"renameUser": func() string {
			return fmt.Sprintf(`(input: {user: %s, externalId: "%s"}) { user { id } }`, user(), fresh())
		},
		"createUser": func() string {
			return fmt.Sprintf(`(input: {externalId: "%s", organizations: [%s]}) { user { id } }`, fresh(), org())
		},
		"createOther":  func() string { return fmt.Sprintf(`(input: {email: "%s@example.com"}) { user { id } }`, fresh()) },
		"suspendUser":  func() string { return fmt.Sprintf(`(input: {user: %s}) { user { id } }`, user()) },
		"restoreUser":  func() string { return fmt.Sprintf(`(input: {user: %s}) { user { id } }`, user()) },
		"offboardUser": func() string { return fmt.Sprintf(`(input: {user: %s}) { user { id } }`, user()) },
		"deleteUser":   func() string { return fmt.Sprintf(`(input: {user: {externalId: "%s"}}) { deletedIds }`, doomed()) },
		"grantRoles": func() string {
			return fmt.Sprintf(`(input: {organization: %s, users: [%s], roles: [%s]}) { memberships { id } }`, org(), two(user), two(role))
		},
		"revokeRoles": func() string {
			return fmt.Sprintf(`(input: {organization: %s, users: [%s], roles: [%s]}) { memberships { id } }`, org(), two(user), role())
		},
		"grantPermissions": func() string {
			return fmt.Sprintf(`(input: {organization: %s, users: [%s], permissions: [%s]}) { memberships { id } }`, org(), two(user), two(permission))
		},
		"addMembers": func() string {
			return fmt.Sprintf(`(input: {organization: %s, users: [%s]}) { memberships { id } }`, org(), two(user))
		},
		"removeMembers": func() string {
			return fmt.Sprintf(`(input: {organization: %s, users: [%s]}) { deletedIds }`, org(), user())
		},
		"moveMember": func() string {
			return fmt.Sprintf(`(input: {user: %s, from: %s, to: %s, keepGrants: true}) { membership { id } }`, user(), org(), org())
		},
		"suspendMember": func() string {
			return fmt.Sprintf(`(input: {user: %s, organization: %s}) { membership { id } }`, user(), org())
		},
		"restoreMember": func() string {
			return fmt.Sprintf(`(input: {user: %s, organization: %s}) { membership { id } }`, user(), org())
		},
		"updateOrganization": func() string {
			return fmt.Sprintf(`(input: {organization: %s, name: "%d", defaultRoles: [%s]%s}) { organization { id } }`, org(), rand.Int(), two(role), domains())
		},
		"suspendOrganization": func() string { return fmt.Sprintf(`(input: {organization: %s}) { organization { id } }`, org()) },
		"restoreOrganization": func() string { return fmt.Sprintf(`(input: {organization: %s}) { organization { id } }`, org()) },
		"createOrganization": func() string {
			return fmt.Sprintf(`(input: {name: "New", externalId: "%s"}) { organization { id } }`, fresh())
		},
		"deleteOrganization": func() string {
			return fmt.Sprintf(`(input: {organization: {externalId: "%s"}}) { deletedIds }`, doomed())
		},
		"updateRole": func() string {
			return fmt.Sprintf(`(input: {role: %s, name: "%d", isDefault: %t}) { role { id } }`, role(), rand.Int(), rand.IntN(2) == 0)
		},
		"addRolePermissions": func() string {
			return fmt.Sprintf(`(input: {role: %s, permissions: [%s]}) { role { id } }`, role(), two(permission))
		},
		"removeRolePermissions": func() string {
			return fmt.Sprintf(`(input: {role: %s, permissions: [%s]}) { role { id } }`, role(), permission())
		},
		"createRole": func() string {
			return fmt.Sprintf(`(input: {key: "%s", permissions: [%s]}) { role { id } }`, fresh(), two(permission))
		},
		"deleteRole":       func() string { return fmt.Sprintf(`(input: {role: {key: "%s"}}) { deletedIds }`, doomed()) },
		"createPermission": func() string { return fmt.Sprintf(`(input: {key: "%s"}) { permission { id } }`, fresh()) },
		"updatePermission": func() string {
			return fmt.Sprintf(`(input: {permission: %s, name: "%d"}) { permission { id } }`, permission(), rand.Int())
		},
		"deletePermission": func() string { return fmt.Sprintf(`(input: {permission: {key: "%s"}}) { deletedIds }`, doomed()) },
		"updateSettings": func() string {
			return fmt.Sprintf(`(input: {allowSelfSignUp: %t}) { settings { allowSelfSignUp } }`, rand.IntN(2) == 0)
		},
	}
	names := slices.Sorted(maps.Keys(mutations))
	document := func() string {
		var text strings.Builder
		text.WriteString("mutation {")
		for i := range 1 + rand.IntN(8) {
			name := names[rand.IntN(len(names))]
			field := map[string]string{"renameUser": "updateUser", "createOther": "createUser"}[name]
			if field == "" {
				field = name
			}
			fmt.Fprintf(&text, " f%d: %s%s", i, field, mutations[name]())
		}
		return text.String() + " }"
	}
	const writers, documents = 8, 20
	var done atomic.Int64
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			for range documents {
				text := document()
				switch a := b.As(t, b.Key, text, nil); {
				case a.Codes() == "":
					done.Add(1)
				case strings.Contains(a.Codes(), "INTERNAL"):
					t.Errorf("%s: %s", text, a.Body)
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d of %d documents were carried out", done.Load(), writers*documents)
	if n := met.Load(); n > writers*documents/100 || done.Load() == 0 {
		t.Errorf("%d deadlocks in %d documents, of which %d were carried out", n, writers*documents, done.Load())
	}
}
