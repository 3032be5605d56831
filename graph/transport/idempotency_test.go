package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/changes"
	"roster/graph/graphtest"
	"roster/graph/transport"
)

// keyed sends an operation with an Idempotency-Key.
func keyed(t testing.TB, b *graphtest.Server, key, idempotency string, body object) *graphtest.Answer {
	t.Helper()
	text, err := json.Marshal(body)
	graphtest.Must(t, err)
	header := graphtest.Headers(key)
	header.Set("Idempotency-Key", idempotency)
	return b.Send(t, http.MethodPost, "/graphql", header, text)
}

// repeats wants one answer to be the other, byte for byte.
func repeats(t testing.TB, what string, got, want *graphtest.Answer) {
	t.Helper()
	if got.Status != want.Status || !bytes.Equal(got.Body, want.Body) || got.Header.Get("Content-Type") != want.Header.Get("Content-Type") {
		t.Errorf("%s answers %d %s\nwant %d %s", what, got.Status, got.Body, want.Status, want.Body)
	}
}

// makesKey is a mutation that makes something new each time that it is carried
// out, and answers it.
const makesKey = `mutation Make($name: String! = "default") { createApiKey(input: {name: $name, permissions: [{key: "roster:users:read"}]}) { secret apiKey { id name } } }`

func keysMade(t testing.TB, b *graphtest.Server, name string) int {
	t.Helper()
	return graphtest.Rows[int](t, b, "select count(*)::int from api_keys where name = $1", name)[0]
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	const idempotency = "8e03978e-40d5-43e8-bc93-6894a57f9324"
	asked := object{"query": makesKey, "variables": object{"name": "one"}}
	first := keyed(t, b, b.Key, idempotency, asked)
	secret := first.Text("createApiKey.secret")
	if first.Status != 200 || secret == "" || first.Header.Get("Content-Type") != nativeType {
		t.Fatalf("%d %s", first.Status, first.Body)
	}
	repeats(t, "a retry", keyed(t, b, b.Key, idempotency, asked), first)
	accepts := graphtest.Headers(b.Key)
	accepts.Set("Idempotency-Key", idempotency)
	accepts.Set("Accept", "application/json")
	text, err := json.Marshal(asked)
	graphtest.Must(t, err)
	repeats(t, "a retry that would rather have another type", b.Send(t, http.MethodPost, "/graphql", accepts, text), first)
	repeats(t, "another server", keyed(t, b.Restarted(t), b.Key, idempotency, asked), first)
	repeats(t, "the name of the only operation", keyed(t, b, b.Key, idempotency, object{"query": makesKey, "variables": object{"name": "one"}, "operationName": "Make"}), first)
	trusted := b.WithOptions(t, transport.Options{Trusted: transport.TrustedDocuments{"abc": makesKey}, TrustedOnly: transport.AllClients})
	repeats(t, "the document by its id", keyed(t, trusted, b.Key, idempotency, object{"documentId": "abc", "variables": object{"name": "one"}}), first)
	if n := keysMade(t, b, "one"); n != 1 {
		t.Errorf("%d keys were made", n)
	}

	// The secret that was shown this once is stored nowhere in plain, nor is the key.
	for _, text := range []string{secret, idempotency} {
		if where := b.Search(t, text); len(where) > 0 {
			t.Errorf("%s is in %v", text, where)
		}
	}

	for name, body := range map[string]object{
		"other variables":   {"query": makesKey, "variables": object{"name": "other"}},
		"no variables":      {"query": makesKey},
		"another document":  {"query": makesKey + " ", "variables": object{"name": "one"}},
		"another operation": {"query": strings.Replace(makesKey, "Make", "Other", 1), "variables": object{"name": "one"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := keyed(t, b, b.Key, idempotency, body)
			if a.Status != http.StatusConflict || a.Codes() != "CONFLICT" || bytes.Contains(a.Body, []byte(idempotency)) {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			checkAnswer(t, a)
		})
	}
	two := makesKey + strings.Replace(makesKey, "Make", "Other", 1)
	for _, c := range []struct {
		operation string
		status    int
	}{{"Make", http.StatusOK}, {"Other", http.StatusConflict}} {
		if a := keyed(t, b, b.Key, "two", object{"query": two, "operationName": c.operation}); a.Status != c.status {
			t.Errorf("%s of two operations: %d %s", c.operation, a.Status, a.Body)
		}
	}
	// The same key of another client means another request.
	stranger := keyed(t, b, b.Holding(t, "", "roster:keys:write", "roster:users:read"), idempotency, asked)
	if stranger.Text("createApiKey.secret") == secret || len(stranger.Errors) > 0 {
		t.Errorf("%s", stranger.Body)
	}

	b.Execute(t, "update kept_answers set at = at - interval '23 hours 59 minutes'")
	repeats(t, "after 23 hours", keyed(t, b, b.Key, idempotency, asked), first)
	b.Execute(t, "update kept_answers set at = at - interval '2 minutes'")
	forgotten := keyed(t, b, b.Key, idempotency, asked)
	if forgotten.Text("createApiKey.secret") == secret || len(forgotten.Errors) > 0 {
		t.Errorf("after a day: %s", forgotten.Body)
	}
	repeats(t, "the retry of what was forgotten", keyed(t, b, b.Key, idempotency, asked), forgotten)
}

// Fifty at the same time on two servers have one effect, and one answer.
func TestConcurrentRequestsWithOneKey(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	servers := []*graphtest.Server{b, b.Restarted(t)}
	answers := make([]*graphtest.Answer, 50)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() {
			answers[i] = keyed(t, servers[i%2], b.Key, "race", object{"query": makesKey, "variables": object{"name": "raced"}})
		})
	}
	wait.Wait()
	for _, a := range answers {
		repeats(t, "one of fifty", a, answers[0])
	}
	if n := keysMade(t, b, "raced"); n != 1 || answers[0].Status != 200 || len(answers[0].Errors) > 0 {
		t.Errorf("%d keys were made; %s", n, answers[0].Body)
	}
}

// A mutation that failed, or was a dry run, leaves no answer.
func TestFailedRequestsKeepNoAnswer(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	suspend := object{"query": `mutation { suspendUser(input: {user: {email: "late@example.com"}}) { user { status } } }`}
	if a := keyed(t, b, b.Key, "k", suspend); a.Codes() != "NOT_FOUND" {
		t.Errorf("%s", a.Body)
	}
	b.Ask(t, `mutation { createUser(input: {email: "late@example.com"}) { user { id } } }`)
	done := keyed(t, b, b.Key, "k", suspend)
	if len(done.Errors) > 0 {
		t.Errorf("%s", done.Body)
	}
	b.Ask(t, `mutation { restoreUser(input: {user: {email: "late@example.com"}}) { user { id } } }`)
	repeats(t, "a retry of what was done", keyed(t, b, b.Key, "k", suspend), done)
	if status := b.Ask(t, `{ user(by: {email: "late@example.com"}) { status } }`).Text("user.status"); status != "ACTIVE" {
		t.Errorf("the retry was carried out: %s", status)
	}

	before := b.State(t)
	rehearsal := object{"query": strings.Replace(makesKey, ") {", ") @dryRun {", 1)}
	one, two := keyed(t, b, b.Key, "dry", rehearsal), keyed(t, b, b.Key, "dry", rehearsal)
	if one.Text("createApiKey.secret") == two.Text("createApiKey.secret") || len(one.Errors)+len(two.Errors) > 0 {
		t.Errorf("a rehearsal was kept: %s %s", one.Body, two.Body)
	}
	// Larger than what is kept: nothing is done.
	large := strings.Repeat("x", 16_000)
	a := keyed(t, b, b.Key, "large", object{"query": graphtest.Document("mutation($p: JSON!)", 0, 70, func(i int) string {
		return fmt.Sprintf(`createUser(input: {email: "u%d@example.com", properties: $p}) { user { properties } }`, i)
	}), "variables": object{"p": object{"p": large}}})
	if a.Codes() != "LIMITED" || a.Data != nil {
		t.Errorf("%.500s", a.Body)
	}
	b.Unchanged(t, before)

	for _, key := range []string{"", " ", "a b", "ä", "a\x7f", strings.Repeat("k", 256)} {
		a := keyed(t, b, b.Key, key, object{"query": makesKey})
		if a.Status != 400 || a.Codes() != "INVALID" {
			t.Errorf("the key %q: %d %s", key, a.Status, a.Body)
		}
		if a := keyed(t, b, b.Key, key, object{"query": "{__typename}"}); a.Status != 200 || len(a.Errors) > 0 {
			t.Errorf("a query with the key %q: %d %s", key, a.Status, a.Body)
		}
	}
	if a := keyed(t, b, b.Key, strings.Repeat("k", 255), object{"query": makesKey}); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
	if a := keyed(t, b, "", "nobody", object{"query": makesKey}); a.Codes() != "UNAUTHENTICATED" || a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// atCommit calls a function when a transaction has been committed.
type atCommit struct {
	mu sync.Mutex
	do func()
}

type commitKey struct{}

func (c *atCommit) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, commitKey{}, data.SQL == "commit")
}

func (c *atCommit) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Value(commitKey{}) == true && data.Err == nil && c.do != nil {
		c.do()
		c.do = nil
	}
}

// A server that ends between the commit and the answer has done what it has done
// once, and whoever asks next hears what it would have said.
func TestAnswerThatWasLost(t *testing.T) {
	t.Parallel()
	commit := &atCommit{}
	b := graphtest.New(t, commit)
	body, err := json.Marshal(object{"query": makesKey, "variables": object{"name": "lost"}})
	graphtest.Must(t, err)
	ctx, hangUp := context.WithCancel(changes.WithRequestID(t.Context(), graphtest.RequestID))
	commit.mu.Lock()
	commit.do = hangUp
	commit.mu.Unlock()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header = graphtest.Headers(b.Key)
	r.Header.Set("Idempotency-Key", "lost")
	lost := httptest.NewRecorder()
	b.Handler.ServeHTTP(lost, r)
	if ctx.Err() == nil {
		t.Fatal("nothing was committed")
	}
	again := keyed(t, b.Restarted(t), b.Key, "lost", object{"query": makesKey, "variables": object{"name": "lost"}})
	if again.Text("createApiKey.secret") == "" || keysMade(t, b, "lost") != 1 {
		t.Errorf("%d keys were made; %s", keysMade(t, b, "lost"), again.Body)
	}
}

// A retry on a server that has not heard of the change yet does not end before it
// has: the answer acknowledges the change, and nothing older may follow.
func TestRepeatedAnswerIsNoOlderThanItsServer(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation { createUser(input: {email: "ada@example.com", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } } }`)
	other := b.Restarted(t)
	const may = `{ can(user: {email: "ada@example.com"}, organization: {code: "acme"}, permission: "invoices:read") }`
	const on = `(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "clerk"}]}) { memberships { id } } }`
	for i := range 20 {
		grant, revoke := fmt.Sprintf("grant-%d", i), fmt.Sprintf("revoke-%d", i)
		keyed(t, b, b.Key, grant, object{"query": "mutation { grantRoles" + on})
		keyed(t, other, b.Key, grant, object{"query": "mutation { grantRoles" + on})
		if other.Ask(t, may).At("can") != true {
			t.Fatal("what was granted is not there")
		}
		keyed(t, b, b.Key, revoke, object{"query": "mutation { revokeRoles" + on})
		keyed(t, other, b.Key, revoke, object{"query": "mutation { revokeRoles" + on})
		if other.Ask(t, may).At("can") != false {
			t.Fatal("what was revoked is still there")
		}
	}
}
