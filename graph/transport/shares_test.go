package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"roster/db"
	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// over returns a server with one more setting in the URL of its database.
func over(t testing.TB, dsn, setting string) *graphtest.Server {
	t.Helper()
	return graphtest.Over(t, dbtest.Open(t, dsn+"&"+setting))
}

// locking runs a statement, and keeps the locks that it takes until unlock is called.
func locking(t testing.TB, b *graphtest.Server, statement string, args ...any) (unlock func()) {
	t.Helper()
	conn, err := b.Database.Connect(t.Context())
	graphtest.Must(t, err)
	tx, err := conn.Begin(t.Context())
	graphtest.Must(t, err)
	_, err = tx.Exec(t.Context(), statement, args...)
	graphtest.Must(t, err)
	ctx := context.WithoutCancel(t.Context())
	unlock = sync.OnceFunc(func() { _ = tx.Rollback(ctx); _ = conn.Close(ctx) })
	t.Cleanup(unlock)
	return unlock
}

// A client whose requests all get stuck takes its own share of the server, and no more:
// others read, check and write, the server is ready, and the client's key is revoked.
func TestSharesHold(t *testing.T) {
	t.Parallel()
	b := over(t, dbtest.DSN(t), "lock_timeout=60s") // as long as the test may take
	b.Ask(t, graphtest.SmallBusiness)
	honest := b.Holding(t, "globex", "roster:organizations:read", "roster:members:read")
	writes, _ := b.Directory.Writers() // as many as read
	share := writes / 4
	const check = `{ can(user: {email: "ada@example.com"}, organization: {code: "acme"}, permission: "invoices:read") }`
	for what, c := range map[string]struct {
		locks, stuck string
	}{
		"writes": {
			"select from memberships for update",
			`mutation @dryRun { grantRoles(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "clerk"}]}) { memberships { id } } }`,
		},
		"reads": {"lock table invitations in access exclusive mode", `{ organization(by: {code: "acme"}) { invitations { nodes { id } } } }`},
	} {
		t.Run(what, func(t *testing.T) {
			first := b.Holding(t, "acme", "roster:members:write", "roster:members:read", "roster:organizations:read", "invoices:read")
			id := b.As(t, first, "{ viewer { apiKey { id } } }", nil).Text("viewer.apiKey.id")
			second := b.Holding(t, "acme", "roster:members:write", "roster:members:read", "roster:organizations:read", "invoices:read")
			unlock := locking(t, b, c.locks)
			ctx, stop := context.WithCancel(t.Context())
			var hostile sync.WaitGroup
			defer func() { unlock(); stop(); hostile.Wait() }()
			for _, key := range []string{first, second} {
				for range 24 {
					hostile.Go(func() {
						for ctx.Err() == nil {
							b.As(t, key, c.stuck, nil)
						}
					})
				}
			}
			graphtest.Eventually(t, 30*time.Second, "their share is in use", func() bool { return waiting(t, b) == share })
			time.Sleep(100 * time.Millisecond) // more would come
			if n := waiting(t, b); n != share {
				t.Errorf("%d statements of one organization run, want %d", n, share)
			}
			for request, key := range map[string]string{
				`{ users { nodes { email } } }`: b.Key, check: b.Key,
				`{ organization(by: {code: "globex"}) { members { totalCount } } }`: honest,
			} {
				if a := b.As(t, key, request, nil); a.Status != http.StatusOK || len(a.Errors) > 0 {
					t.Errorf("%s: %d %s", request, a.Status, a.Body)
				}
			}
			if err := b.Directory.Ready(); err != nil {
				t.Error(err)
			}
			began := time.Now()
			b.Ask(t, fmt.Sprintf(`mutation { createPermission(input: {key: "a:b%d"}) { permission { id } } }`, began.UnixNano()))
			b.Ask(t, fmt.Sprintf(`mutation { revokeApiKey(input: {apiKey: "%s"}) { apiKey { id } } }`, id))
			t.Logf("written and revoked after %v", time.Since(began))
			if a := b.As(t, first, "{ viewer { permissions } }", nil); a.Status != http.StatusUnauthorized {
				t.Errorf("with the revoked key: %d %s", a.Status, a.Body)
			}
		})
	}
}

// With the least connections that are allowed, there are as many pools as that is
// enough for, and everything works.
func TestLeastConnections(t *testing.T) {
	t.Parallel()
	for connections := range 4 {
		t.Run(fmt.Sprint(db.LeastConnections+connections), func(t *testing.T) {
			t.Parallel()
			b := over(t, graphtest.DemoDSN(t), fmt.Sprintf("pool_max_conns=%d", db.LeastConnections+connections))
			var all sync.WaitGroup
			defer all.Wait()
			for i := range 8 {
				for _, text := range []string{
					`{ users(first: 5) { nodes { email memberships { nodes { roles { key } } } } } }`,
					`{ users(filter: {search: "ada"}) { nodes { email } } }`,
					fmt.Sprintf(`mutation { createUser(input: {email: "u%d@example.com"}) { user { memberships { nodes { id } } } } }`, i),
					fmt.Sprintf(`mutation { createPermission(input: {key: "a:b%d"}) { permission { id } } }`, i),
					`mutation { suspendUser(input: {user: {email: "ada.lovelace@acme.example"}}) { user { id } } }`,
				} {
					all.Go(func() {
						if a := b.Insist(t, b.Key, text); a.Status != http.StatusOK || len(a.Errors) > 0 {
							t.Errorf("%s: %d %s", text, a.Status, a.Body)
						}
					})
				}
			}
		})
	}
}
