package transport_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/graph/graphtest"
)

// feedGate holds the feeds of changes up while it is locked.
type feedGate struct{ sync.RWMutex }

func (g *feedGate) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "pg_visible_in_snapshot") {
		g.RLock()
		defer g.RUnlock()
	}
	return ctx
}

func (*feedGate) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A client that names a revision is answered by what it may do at that revision: what
// the server knew of the key when the request came does not count.
func TestAtLeastIsTrueOfWhoAsks(t *testing.T) {
	t.Parallel()
	gate := &feedGate{}
	b := graphtest.New(t, gate)
	b.Ask(t, graphtest.SmallBusiness)
	const members = `(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], permissions: [{key: "roster:members:read"}]}) { memberships { id } } }`
	b.Ask(t, "mutation { grantPermissions"+members)
	secret := b.StandingFor(t, "ada@example.com", "acme", "roster:members:read")
	key := b.As(t, secret, "{ viewer { apiKey { id } } }", nil).Text("viewer.apiKey.id")
	other := b.Restarted(t)
	const query = `{ viewer { can(permission: "roster:members:read") } }`
	for _, revoke := range []string{"mutation { revokePermissions" + members, `mutation { revokeApiKey(input: {apiKey: "` + key + `"}) { apiKey { id } } }`} {
		graphtest.Eventually(t, 10*time.Second, "the other server knows the key", func() bool {
			return other.As(t, secret, query, nil).At("viewer.can") == true
		})
		gate.Lock()
		var revoked struct{ Extensions struct{ Revision string } }
		graphtest.Must(t, json.Unmarshal(b.Ask(t, revoke).Body, &revoked))
		header := graphtest.Headers(secret)
		header.Set("Roster-At-Least", revoked.Extensions.Revision)
		answered := make(chan *graphtest.Answer)
		go func() {
			answered <- other.Send(t, http.MethodPost, "/graphql", header, []byte(`{"query":`+graphtest.Quote(query)+`}`))
		}()
		time.Sleep(50 * time.Millisecond) // or else the feed is there first, and nothing is shown
		gate.Unlock()
		if a := <-answered; a.At("viewer.can") == true {
			t.Errorf("after %s: %s", revoke, a.Body)
		}
		b.Ask(t, "mutation { grantPermissions"+members)
	}
}
