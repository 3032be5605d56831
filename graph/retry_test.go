package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/access"
	"roster/changes"
	"roster/directory"
	"roster/graph"
)

// keyed sends an operation under an Idempotency-Key.
func (b *testBundle) keyed(t testing.TB, key, idempotency string, body object) *answer {
	t.Helper()
	text, err := json.Marshal(body)
	must(t, err)
	header := headers(key)
	header.Set("Idempotency-Key", idempotency)
	return b.send(t, http.MethodPost, "/graphql", header, text)
}

// restarted gives the same business on a server that has just started.
func (b *testBundle) restarted(t testing.TB) *testBundle {
	t.Helper()
	other := *b
	other.directory = directory.New(b.database, access.Options{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(other.directory.Close)
	must(t, other.directory.Follow(t.Context()))
	return other.withOptions(t, graph.Options{})
}

// repeats wants one answer to be the other, byte for byte.
func repeats(t testing.TB, what string, got, want *answer) {
	t.Helper()
	if got.Status != want.Status || !bytes.Equal(got.Body, want.Body) || got.Header.Get("Content-Type") != want.Header.Get("Content-Type") {
		t.Errorf("%s answers %d %s\nwant %d %s", what, got.Status, got.Body, want.Status, want.Body)
	}
}

// makesKey is a mutation that makes something new each time that it is carried
// out, and answers it.
const makesKey = `mutation Make($name: String! = "default") { createApiKey(input: {name: $name, permissions: [{key: "roster:users:read"}]}) { secret apiKey { id name } } }`

func (b *testBundle) keysMade(t testing.TB, name string) int {
	t.Helper()
	return rows[int](t, b, "select count(*)::int from api_keys where name = $1", name)[0]
}

func TestRetries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const idempotency = "8e03978e-40d5-43e8-bc93-6894a57f9324"
	asked := object{"query": makesKey, "variables": object{"name": "one"}}
	first := b.keyed(t, b.key, idempotency, asked)
	secret := first.text("createApiKey.secret")
	if first.Status != 200 || secret == "" || first.Header.Get("Content-Type") != nativeType {
		t.Fatalf("%d %s", first.Status, first.Body)
	}
	repeats(t, "a retry", b.keyed(t, b.key, idempotency, asked), first)
	accepts := headers(b.key)
	accepts.Set("Idempotency-Key", idempotency)
	accepts.Set("Accept", "application/json")
	text, err := json.Marshal(asked)
	must(t, err)
	repeats(t, "a retry that would rather have another type", b.send(t, http.MethodPost, "/graphql", accepts, text), first)
	repeats(t, "another server", b.restarted(t).keyed(t, b.key, idempotency, asked), first)
	repeats(t, "the name of the only operation", b.keyed(t, b.key, idempotency, object{"query": makesKey, "variables": object{"name": "one"}, "operationName": "Make"}), first)
	trusted := b.withOptions(t, graph.Options{Trusted: graph.TrustedDocuments{"abc": makesKey}, TrustedOnly: graph.AllClients})
	repeats(t, "the document by its id", trusted.keyed(t, b.key, idempotency, object{"documentId": "abc", "variables": object{"name": "one"}}), first)
	if n := b.keysMade(t, "one"); n != 1 {
		t.Errorf("%d keys were made", n)
	}

	// What was shown this once is stored nowhere in plain, and neither is the key.
	for _, text := range []string{secret, idempotency} {
		if where := b.search(t, text); len(where) > 0 {
			t.Errorf("%s is in %v", text, where)
		}
	}

	for name, body := range map[string]object{
		"other variables":   {"query": makesKey, "variables": object{"name": "other"}},
		"no variables":      {"query": makesKey},
		"another document":  {"query": makesKey + " ", "variables": object{"name": "one"}},
		"another operation": {"query": strings.Replace(makesKey, "Make", "Other", 1), "variables": object{"name": "one"}},
	} {
		a := b.keyed(t, b.key, idempotency, body)
		if a.Status != http.StatusConflict || a.codes() != "CONFLICT" || bytes.Contains(a.Body, []byte(idempotency)) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		checkAnswer(t, a)
	}
	two := makesKey + strings.Replace(makesKey, "Make", "Other", 1)
	for _, c := range []struct {
		operation string
		status    int
	}{{"Make", http.StatusOK}, {"Other", http.StatusConflict}} {
		if a := b.keyed(t, b.key, "two", object{"query": two, "operationName": c.operation}); a.Status != c.status {
			t.Errorf("%s of two operations: %d %s", c.operation, a.Status, a.Body)
		}
	}
	// Whoever else has the same key by chance is somebody else.
	stranger := b.keyed(t, b.holding(t, "", "roster:keys:write", "roster:users:read"), idempotency, asked)
	if stranger.text("createApiKey.secret") == secret || len(stranger.Errors) > 0 {
		t.Errorf("%s", stranger.Body)
	}

	b.execute(t, "update kept_answers set at = at - interval '23 hours 59 minutes'")
	repeats(t, "after 23 hours", b.keyed(t, b.key, idempotency, asked), first)
	b.execute(t, "update kept_answers set at = at - interval '2 minutes'")
	forgotten := b.keyed(t, b.key, idempotency, asked)
	if forgotten.text("createApiKey.secret") == secret || len(forgotten.Errors) > 0 {
		t.Errorf("after a day: %s", forgotten.Body)
	}
	repeats(t, "the retry of what was forgotten", b.keyed(t, b.key, idempotency, asked), forgotten)
}

// Fifty at the same time on two servers have one effect, and one answer.
func TestConcurrentRetries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	servers := []*testBundle{b, b.restarted(t)}
	answers := make([]*answer, 50)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() {
			answers[i] = servers[i%2].keyed(t, b.key, "race", object{"query": makesKey, "variables": object{"name": "raced"}})
		})
	}
	wait.Wait()
	for _, a := range answers {
		repeats(t, "one of fifty", a, answers[0])
	}
	if n := b.keysMade(t, "raced"); n != 1 || answers[0].Status != 200 || len(answers[0].Errors) > 0 {
		t.Errorf("%d keys were made; %s", n, answers[0].Body)
	}
}

// What was not done, or not really, leaves no answer.
func TestRetriesOfWhatFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	suspend := object{"query": `mutation { suspendUser(input: {user: {email: "late@example.com"}}) { user { status } } }`}
	if a := b.keyed(t, b.key, "k", suspend); a.codes() != "NOT_FOUND" {
		t.Errorf("%s", a.Body)
	}
	b.ask(t, `mutation { createUser(input: {email: "late@example.com"}) { user { id } } }`)
	done := b.keyed(t, b.key, "k", suspend)
	if len(done.Errors) > 0 {
		t.Errorf("%s", done.Body)
	}
	b.ask(t, `mutation { restoreUser(input: {user: {email: "late@example.com"}}) { user { id } } }`)
	repeats(t, "a retry of what was done", b.keyed(t, b.key, "k", suspend), done)
	if status := b.ask(t, `{ user(by: {email: "late@example.com"}) { status } }`).text("user.status"); status != "ACTIVE" {
		t.Errorf("the retry was carried out: %s", status)
	}

	before := b.state(t)
	rehearsal := object{"query": strings.Replace(makesKey, ") {", ") @dryRun {", 1)}
	one, two := b.keyed(t, b.key, "dry", rehearsal), b.keyed(t, b.key, "dry", rehearsal)
	if one.text("createApiKey.secret") == two.text("createApiKey.secret") || len(one.Errors)+len(two.Errors) > 0 {
		t.Errorf("a rehearsal was kept: %s %s", one.Body, two.Body)
	}
	// Larger than what is kept: nothing is done.
	large := strings.Repeat("x", 16_000)
	a := b.keyed(t, b.key, "large", object{"query": document("mutation($p: JSON!)", 0, 70, func(i int) string {
		return fmt.Sprintf(`createUser(input: {email: "u%d@example.com", properties: $p}) { user { properties } }`, i)
	}), "variables": object{"p": object{"p": large}}})
	if a.codes() != "LIMITED" || a.Data != nil {
		t.Errorf("%.500s", a.Body)
	}
	b.unchanged(t, before)

	for _, key := range []string{"", " ", "a b", "ä", "a\x7f", strings.Repeat("k", 256)} {
		a := b.keyed(t, b.key, key, object{"query": makesKey})
		if a.Status != 400 || a.codes() != "INVALID" {
			t.Errorf("the key %q: %d %s", key, a.Status, a.Body)
		}
		if a := b.keyed(t, b.key, key, object{"query": "{__typename}"}); a.Status != 200 || len(a.Errors) > 0 {
			t.Errorf("a query with the key %q: %d %s", key, a.Status, a.Body)
		}
	}
	if a := b.keyed(t, b.key, strings.Repeat("k", 255), object{"query": makesKey}); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
	if a := b.keyed(t, "", "nobody", object{"query": makesKey}); a.codes() != "UNAUTHENTICATED" || a.Status != 200 {
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
func TestRetryAfterTheAnswerWasLost(t *testing.T) {
	t.Parallel()
	commit := &atCommit{}
	b := setup(t, commit)
	body, err := json.Marshal(object{"query": makesKey, "variables": object{"name": "lost"}})
	must(t, err)
	ctx, hangUp := context.WithCancel(changes.WithRequestID(t.Context(), requestID))
	commit.mu.Lock()
	commit.do = hangUp
	commit.mu.Unlock()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header = headers(b.key)
	r.Header.Set("Idempotency-Key", "lost")
	lost := httptest.NewRecorder()
	b.handler.ServeHTTP(lost, r)
	if ctx.Err() == nil {
		t.Fatal("nothing was committed")
	}
	again := b.restarted(t).keyed(t, b.key, "lost", object{"query": makesKey, "variables": object{"name": "lost"}})
	if again.text("createApiKey.secret") == "" || b.keysMade(t, "lost") != 1 {
		t.Errorf("%d keys were made; %s", b.keysMade(t, "lost"), again.Body)
	}
}

// A retry on a server that has not heard of the change yet does not end before it
// has: the answer acknowledges the change, and nothing older may follow.
func TestRetryIsNoOlderThanItsAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ask(t, lifeSeed)
	b.ask(t, `mutation { createUser(input: {email: "ada@example.com", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } } }`)
	other := b.restarted(t)
	const may = `{ can(user: {email: "ada@example.com"}, organization: {code: "acme"}, permission: "invoices:read") }`
	const on = `(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "clerk"}]}) { memberships { id } } }`
	for i := range 20 {
		grant, revoke := fmt.Sprintf("grant-%d", i), fmt.Sprintf("revoke-%d", i)
		b.keyed(t, b.key, grant, object{"query": "mutation { grantRoles" + on})
		other.keyed(t, b.key, grant, object{"query": "mutation { grantRoles" + on})
		if other.ask(t, may).at("can") != true {
			t.Fatal("what was granted is not there")
		}
		b.keyed(t, b.key, revoke, object{"query": "mutation { revokeRoles" + on})
		other.keyed(t, b.key, revoke, object{"query": "mutation { revokeRoles" + on})
		if other.ask(t, may).at("can") != false {
			t.Fatal("what was revoked is still there")
		}
	}
}
