package graph_test

import (
	"fmt"
	"testing"

	"roster/db"
	"roster/db/dbtest"
	"roster/graph/graphtest"
	"roster/secret"
)

// A write takes few round trips to the database, from begin to commit.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	proxy, dsn := dbtest.NewProxy(t, dbtest.DSN(t))
	database, err := db.Open(t.Context(), secret.New(dsn), db.Options{})
	graphtest.Must(t, err)
	t.Cleanup(func() { _ = database.Close() })
	b := graphtest.Over(t, database)
	b.Ask(t, `mutation {
		p: createPermission(input: {key: "invoices:read"}) { permission { id } }
		r: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
		a: createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } }
		u: createUser(input: {username: "ada", organizations: [{code: "acme"}, {code: "default"}]}) { user { id } }
	}`)
	for _, test := range []struct {
		name, document string
		most           int64
	}{
		{"a grant", `grantRoles(input: {organization: {code: "acme"}, users: [{username: "ada"}], roles: [{key: "clerk"}], endsAt: "20%d-01-01T00:00:00Z"}) { memberships { id } }`, 5},
		{"a grant of a permission", `grantPermissions(input: {organization: {code: "acme"}, users: [{username: "ada"}], permissions: [{key: "invoices:read"}], endsAt: "20%d-01-01T00:00:00Z"}) { memberships { id } }`, 5},
		{"a revocation", `revokeRoles(input: {organization: {code: "acme"}, users: [{username: "ada"}], roles: [{key: "clerk"}], endsAt: "20%d-01-01T00:00:00Z"}) { memberships { id } }`, 5},
		{"a profile", `updateUser(input: {user: {username: "ada"}, givenName: "Ada %d"}) { user { id } }`, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			least := int64(100)
			for try := range 9 {
				b.Ask(t, `{ __typename }`) // the key is known again
				before := proxy.Trips.Load()
				b.Ask(t, "mutation { "+fmt.Sprintf(test.document, 99-try)+" }")
				least = min(least, proxy.Trips.Load()-before)
			}
			t.Logf("%d round trips", least)
			if least > test.most {
				t.Errorf("%d round trips, want at most %d", least, test.most)
			}
		})
	}
}
