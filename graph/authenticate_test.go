package graph_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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

// Who names a revision is answered by what they may do there themselves, too: what
// the server knew of the key when the request came does not count.
func TestAtLeastIsTrueOfWhoAsks(t *testing.T) {
	t.Parallel()
	gate := &feedGate{}
	b := setup(t, gate)
	b.ask(t, deniedSeed)
	const members = `(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], permissions: [{key: "roster:members:read"}]}) { memberships { id } } }`
	b.ask(t, "mutation { grantPermissions"+members)
	secret := b.standingFor(t, "ada@example.com", "acme", "roster:members:read")
	key := b.as(t, secret, "{ viewer { apiKey { id } } }", nil).text("viewer.apiKey.id")
	other := b.restarted(t)
	const query = `{ viewer { can(permission: "roster:members:read") } }`
	for _, revoke := range []string{"mutation { revokePermissions" + members, `mutation { revokeApiKey(input: {apiKey: "` + key + `"}) { apiKey { id } } }`} {
		eventually(t, 10*time.Second, "the other server knows the key", func() bool {
			return other.as(t, secret, query, nil).at("viewer.can") == true
		})
		gate.Lock()
		var revoked struct{ Extensions struct{ Revision string } }
		must(t, json.Unmarshal(b.ask(t, revoke).Body, &revoked))
		header := headers(secret)
		header.Set("Roster-At-Least", revoked.Extensions.Revision)
		answered := make(chan *answer)
		go func() {
			answered <- other.send(t, http.MethodPost, "/graphql", header, []byte(`{"query":`+quoted(query)+`}`))
		}()
		time.Sleep(50 * time.Millisecond) // or else the feed is there first, and nothing is shown
		gate.Unlock()
		if a := <-answered; a.at("viewer.can") == true {
			t.Errorf("after %s: %s", revoke, a.Body)
		}
		b.ask(t, "mutation { grantPermissions"+members)
	}
}
