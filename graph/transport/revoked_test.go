package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db"
	"roster/db/dbtest"
	"roster/graph/graphtest"
	"roster/graph/transport"
	"roster/queue"
	"roster/secret"
)

// holdUp holds up the next transaction that reaches a statement, until goOn or until the
// transaction is interrupted.
type holdUp struct{ next atomic.Pointer[held] }

type held struct {
	statement     string // a part of its text
	reached, goOn chan struct{}
}

// at returns when a transaction has reached the statement after begin.
func (h *holdUp) at(statement string, begin func()) (goOn func()) {
	one := &held{statement, make(chan struct{}), make(chan struct{})}
	h.next.Store(one)
	begin()
	<-one.reached
	return func() { close(one.goOn) }
}

func (h *holdUp) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if one := h.next.Load(); one != nil && strings.Contains(data.SQL, one.statement) && h.next.CompareAndSwap(one, nil) {
		close(one.reached)
		select {
		case <-one.goOn:
		case <-ctx.Done():
		}
	}
	return ctx
}

func (h *holdUp) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// victim is a user whose key, in an organization of its own, grants a role to another
// member.
type victim struct {
	user, org, key, keyID string
	// role is the role by which the user may do so.
	role string
}

func newVictim(t testing.TB, b *graphtest.Server, i int) victim {
	t.Helper()
	v := victim{user: fmt.Sprintf("user%d@example.com", i), org: fmt.Sprintf("org%d", i), role: fmt.Sprintf("chief%d", i)}
	b.Ask(t, fmt.Sprintf(`mutation {
		r: createRole(input: {key: %q, permissions: [{key: "roster:members:write"}, {key: "invoices:read"}]}) { role { id } }
		o: createOrganization(input: {code: %q, name: "Org"}) { organization { id } }
		u: createUser(input: {email: %q, organizations: [{code: %[2]q}, {code: "default"}]}) { user { id } }
		m: createUser(input: {email: "other-%[3]s", organizations: [{code: %[2]q}, {code: "default"}]}) { user { id } }
		g: grantRoles(input: {organization: {code: %[2]q}, users: [{email: %[3]q}], roles: [{key: %[1]q}]}) { memberships { id } }
	}`, v.role, v.org, v.user))
	v.key = b.StandingFor(t, v.user, v.org, "roster:members:write", "invoices:read")
	v.keyID = b.As(t, v.key, "{ viewer { apiKey { id } } }", nil).Text("viewer.apiKey.id")
	return v
}

func (v victim) request() []byte {
	text, _ := json.Marshal(object{"query": fmt.Sprintf(
		`mutation { grantRoles(input: {organization: {code: %q}, users: [{email: "other-%s"}], roles: [{key: "clerk"}]}) { memberships { id } } }`, v.org, v.user)})
	return text
}

// did reports whether the request was carried out.
func (v victim) did(t testing.TB, b *graphtest.Server) bool {
	t.Helper()
	return graphtest.Rows[bool](t, b, "select exists (select from changes where actor = $1)", v.keyID)[0]
}

// endings are the ways to take from the victim what its request needs.
var endings = map[string]string{
	"the key is revoked":          `revokeApiKey(input: {apiKey: %[1]q}) { apiKey { id } }`,
	"the user is suspended":       `suspendUser(input: {user: {email: %[2]q}}) { user { id } }`,
	"the user is offboarded":      `offboardUser(input: {user: {email: %[2]q}}) { user { id } }`,
	"the user is deleted":         `deleteUser(input: {user: {email: %[2]q}}) { deletedIds }`,
	"the user leaves":             `removeMembers(input: {organization: {code: %[3]q}, users: [{email: %[2]q}]}) { deletedIds }`,
	"the grant is revoked":        `revokeRoles(input: {organization: {code: %[3]q}, users: [{email: %[2]q}], roles: [{key: %[4]q}]}) { memberships { id } }`,
	"the grant is shortened":      `revokeRoles(input: {organization: {code: %[3]q}, users: [{email: %[2]q}], roles: [{key: %[4]q}], endsAt: "2090-01-01T00:00:00Z"}) { memberships { id } }`,
	"the role loses a permission": `removeRolePermissions(input: {role: {key: %[4]q}, permissions: [{key: "roster:members:write"}]}) { role { id } }`,
	"the role is deleted":         `deleteRole(input: {role: {key: %[4]q}}) { deletedIds }`,
	"the organization suspended":  `suspendOrganization(input: {organization: {code: %[3]q}}) { organization { id } }`,
	"the organization is deleted": `deleteOrganization(input: {organization: {code: %[3]q}}) { deletedIds }`,
}

func (v victim) ending(text string) string {
	return "mutation { " + fmt.Sprintf(text+"%.0[1]s%.0[2]s%.0[3]s%.0[4]s", v.keyID, v.user, v.org, v.role) + " }"
}

// stage sends the victim's request to a server, returns when it has come to a stage, and
// lets it go on by goOn.
type stage func(t *testing.T, b, on *graphtest.Server, v victim, send func(body io.Reader)) (goOn func())

// stages are where a request can be. held stops transactions at a statement.
func stages(held *holdUp) map[string]stage {
	return map[string]stage{
		"its body is on the way": func(_ *testing.T, _, _ *graphtest.Server, v victim, send func(io.Reader)) func() {
			reading, rest := make(chan struct{}), make(chan struct{})
			body := v.request()
			go send(io.MultiReader(bytes.NewReader(body[:10]), readerFunc(func([]byte) (int, error) { close(reading); <-rest; return 0, io.EOF }), bytes.NewReader(body[10:])))
			<-reading
			return func() { close(rest) }
		},
		"it waits for its turn": func(t *testing.T, b, on *graphtest.Server, v victim, send func(io.Reader)) func() {
			unlock := locking(t, b, "select from roles where key = 'occupied' for update")
			var occupants sync.WaitGroup
			occupants.Go(func() {
				on.Ask(t, `mutation { updateRole(input: {role: {key: "occupied"}, name: "Occupied"}) { role { id } } }`)
			})
			graphtest.Eventually(t, 30*time.Second, "the only place is taken", func() bool { return waiting(t, b) == 1 })
			go send(bytes.NewReader(v.request()))
			time.Sleep(50 * time.Millisecond) // or else it is at an earlier stage
			return func() { unlock(); occupants.Wait() }
		},
		"it waits for a lock": func(t *testing.T, b, _ *graphtest.Server, v victim, send func(io.Reader)) func() {
			unlock := locking(t, b, "select from roles where key = 'clerk' for update")
			go send(bytes.NewReader(v.request()))
			graphtest.Eventually(t, 30*time.Second, "the request waits", func() bool { return waiting(t, b) == 1 })
			return unlock
		},
		"it is about to be confirmed": func(_ *testing.T, _, _ *graphtest.Server, v victim, send func(io.Reader)) func() {
			return held.at("locked_keys", func() { go send(bytes.NewReader(v.request())) })
		},
	}
}

// Whatever is taken from a client, its request does nothing afterwards, wherever it is,
// on the server that took it away and on another one, which has not heard of it.
func TestNothingIsDoneAfterTheEnd(t *testing.T) {
	t.Parallel()
	held, gate := &holdUp{}, &feedGate{}
	database, err := db.Open(t.Context(), secret.New(dbtest.DSN(t)+"&lock_timeout=60s"), db.Options{Tracer: tracers{held, gate}})
	graphtest.Must(t, err)
	t.Cleanup(func() { _ = database.Close() })
	b := graphtest.Over(t, database)
	b.Ask(t, graphtest.SmallBusiness)
	b.Ask(t, `mutation { createRole(input: {key: "occupied"}) { role { id } } }`)
	one := transport.Options{Mutations: queue.Limits{Running: 1, Waiting: 8, WaitTimeout: time.Minute}, Introspection: true}
	servers := map[string]*graphtest.Server{"one server": b.WithOptions(t, one), "two servers": b.Restarted(t).WithOptions(t, one)}
	n := 0
	for where, on := range servers {
		for at, reach := range stages(held) {
			for what, text := range endings {
				n++
				t.Run(strings.Join([]string{what, at, where}, ", "), func(t *testing.T) {
					v := newVictim(t, b, n)
					graphtest.Eventually(t, 30*time.Second, "the server knows the key", func() bool {
						return on.As(t, v.key, "{ viewer { can(permission: \"roster:members:write\") } }", nil).At("viewer.can") == true
					})
					answered := make(chan *httptest.ResponseRecorder, 1)
					send := func(body io.Reader) {
						r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", body)
						maps.Copy(r.Header, graphtest.Headers(v.key))
						w := httptest.NewRecorder()
						on.Handler.ServeHTTP(w, r)
						answered <- w
					}
					goOn := sync.OnceFunc(reach(t, b, on, v, send))
					defer goOn()
					if where == "two servers" {
						gate.Lock()
						defer gate.Unlock()
					}
					acknowledged := make(chan *graphtest.Answer, 1)
					go func() { acknowledged <- b.As(t, b.Key, v.ending(text), nil) }()
					// Writes lock their organization, and another server cannot interrupt them:
					// there the end waits, and is acknowledged later.
					mayWait, within := where == "two servers" && strings.HasPrefix(what, "the organization"), 30*time.Second
					if mayWait {
						within = 300 * time.Millisecond
					}
					var a *graphtest.Answer
					select {
					case a = <-acknowledged:
						goOn()
					case <-time.After(within):
						goOn()
						a = <-acknowledged
						if !mayWait {
							t.Error("the end waited for the request")
						}
						mayWait = mayWait && v.did(t, b)
					}
					w := <-answered
					if a.Status != http.StatusOK || len(a.Errors) > 0 {
						t.Errorf("the end: %d %s", a.Status, a.Body)
					}
					if v.did(t, b) && !mayWait || w.Code == http.StatusServiceUnavailable {
						t.Errorf("%d %s", w.Code, w.Body)
					}
				})
			}
		}
	}
}

// tracers are several tracers.
type tracers []pgx.QueryTracer

func (all tracers) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	for _, one := range all {
		ctx = one.TraceQueryStart(ctx, conn, data)
	}
	return ctx
}

func (all tracers) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	for _, one := range all {
		one.TraceQueryEnd(ctx, conn, data)
	}
}
