package transport_test

import (
	"context"
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

	"roster/credential"
	"roster/graph/graphtest"
	"roster/graph/transport"
	"roster/queue"
)

// locked keeps everyone from reading the table, until unlock is called. It has to be one that
// keys are found without: that a client has gone is noticed once its body is read, which is
// after its key is found.
func locked(t testing.TB, b *graphtest.Server, table string) (unlock func()) {
	t.Helper()
	conn, err := b.Database.Connect(t.Context())
	graphtest.Must(t, err)
	tx, err := conn.Begin(t.Context())
	graphtest.Must(t, err)
	_, err = tx.Exec(t.Context(), "lock table "+table+" in access exclusive mode")
	graphtest.Must(t, err)
	ctx := context.WithoutCancel(t.Context())
	unlock = sync.OnceFunc(func() { _ = tx.Rollback(ctx); _ = conn.Close(ctx) })
	t.Cleanup(unlock)
	return unlock
}

// waiting counts the statements that wait for a lock.
func waiting(t testing.TB, b *graphtest.Server) int {
	t.Helper()
	return graphtest.Rows[int](t, b, "select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()")[0]
}

const readsSettings = "{settings{allowSelfSignUp}}"

// The statements of a client that has gone away are cancelled.
func TestStatementsEndWithTheirClient(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	locked(t, b, "settings")
	server := httptest.NewServer(b.Handler)
	defer server.Close()
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, _ := http.NewRequestWithContext(ctx, "POST", server.URL, strings.NewReader(`{"query":"`+readsSettings+`"}`))
		r.Header = graphtest.Headers(b.Key)
		if w, err := http.DefaultClient.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, w.Body)
			_ = w.Body.Close()
			t.Errorf("an answer: %d", w.StatusCode)
		}
	}()
	graphtest.Eventually(t, 30*time.Second, "the statement waits", func() bool { return waiting(t, b) == 1 })
	hangUp()
	<-done
	graphtest.Eventually(t, 30*time.Second, "the statement is cancelled", func() bool { return waiting(t, b) == 0 })
}

// An operation that takes too long is ended, and its statements with it.
func TestTimeout(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	locked(t, b, "settings")
	a := b.WithOptions(t, transport.Options{Timeout: 300 * time.Millisecond}).As(t, b.Key, readsSettings, nil)
	if a.Codes() != "LIMITED" || a.Data != nil {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	graphtest.Eventually(t, 30*time.Second, "the statement is cancelled", func() bool { return waiting(t, b) == 0 })
}

// Beyond what runs and waits, requests are turned away at once, while those of
// another class are answered; afterwards all is as before.
func TestOverload(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, readsSettings)
	b = b.WithOptions(t, transport.Options{
		Queries: queue.Limits{Running: 8, Waiting: 8, WaitTimeout: time.Second}, // 2 for each client
	})
	unlock := locked(t, b, "settings")
	var wg, turnedAway sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if a := b.As(t, b.Key, readsSettings, nil); a.Status != 200 {
				t.Errorf("one that runs: %d %s", a.Status, a.Body)
			}
		})
	}
	graphtest.Eventually(t, 30*time.Second, "two statements wait", func() bool { return waiting(t, b) == 2 })
	for range 20 {
		turnedAway.Go(func() {
			a := b.As(t, b.Key, readsSettings, nil)
			if a.Status != 503 || a.Codes() != "UNAVAILABLE" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			checkAnswer(t, a)
		})
	}
	if a := b.As(t, b.Key, `mutation{createPermission(input:{key:"a:b"}){permission{id}}}`, nil); a.Status != 200 || len(a.Errors) > 0 {
		t.Errorf("a mutation meanwhile: %d %s", a.Status, a.Body)
	}
	turnedAway.Wait()
	unlock()
	wg.Wait()
	graphtest.Eventually(t, 30*time.Second, "queries are answered", func() bool { return b.As(t, b.Key, readsSettings, nil).Status == 200 })
}

// Large requests have a queue of their own, so that they keep nobody else waiting.
func TestLargeRequestsWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, "{roles{nodes{key}}}")
	b = b.WithOptions(t, transport.Options{Large: queue.Limits{Running: 1, Waiting: 1, WaitTimeout: 50 * time.Millisecond}})
	unlock := locked(t, b, "invitations")
	const costly = "{organizations(first:100){nodes{invitations(first:100){nodes{id createdAt organization{id}}}}}}"
	var wg sync.WaitGroup
	wg.Go(func() {
		if a := b.As(t, b.Key, costly, nil); a.Status != 200 {
			t.Errorf("one that runs: %d %s", a.Status, a.Body)
		}
	})
	graphtest.Eventually(t, 30*time.Second, "a statement waits", func() bool { return waiting(t, b) == 1 })
	const small = "{roles{nodes{key}}}"
	for what, large := range map[string]*graphtest.Answer{
		"a high cost":     b.As(t, b.Key, costly, nil),
		"a long document": b.As(t, b.Key, small+" #"+strings.Repeat("x", 10_000), nil),
		"a long body":     b.As(t, b.Key, small, object{"none": strings.Repeat("x", 300_000)}),
	} {
		t.Run(what, func(t *testing.T) {
			if large.Status != 503 || large.Codes() != "UNAVAILABLE" {
				t.Errorf("%s meanwhile: %d %.300s", what, large.Status, large.Body)
			}
			checkAnswer(t, large)
		})
	}
	b.Ask(t, small)
	unlock()
	wg.Wait()
	b.Ask(t, costly)
}

// Long bodies have room for so many of them, also when they come slowly and do not
// say how long they are. Short ones need none.
func TestRoomForBodies(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, "{__typename}")
	other := b.Holding(t, "")
	long := object{"none": strings.Repeat("x", 100_000)}
	var reading, done sync.WaitGroup
	release := make(chan struct{})
	for range 4 { // of 4 MiB at most each, as far as anybody knows
		reading.Add(1)
		done.Go(func() {
			body := io.MultiReader(strings.NewReader(strings.Repeat(" ", 64<<10)), readerFunc(func([]byte) (int, error) {
				reading.Done()
				<-release
				return 0, io.EOF
			}))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", body)
			maps.Copy(r.Header, graphtest.Headers(b.Key))
			b.Handler.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	reading.Wait()
	a := b.As(t, b.Key, "{__typename}", long)
	if a.Status != 503 || a.Codes() != "UNAVAILABLE" {
		t.Errorf("a long one meanwhile: %d %s", a.Status, a.Body)
	}
	checkAnswer(t, a)
	b.Ask(t, "{__typename}")
	if a := b.As(t, other, "{__typename}", long); a.Status != 200 {
		t.Errorf("a long one of another client: %d %s", a.Status, a.Body)
	}
	close(release)
	done.Wait()
	b.Ask(t, "{__typename}", long)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A client that has spent its budget waits; others do not.
func TestBudget(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	other := b.Holding(t, "", "roster:users:read")
	b = b.WithOptions(t, transport.Options{CostPerSecond: 70})
	const query = "{users(first:100){nodes{a:id b:id c:id d:id}}}" // 671 of 700, which come again in 10 s
	b.Ask(t, query)
	a := b.As(t, b.Key, query, nil)
	if a.Status != 429 || a.Codes() != "LIMITED" || a.Errors[0].Extensions["requested"] != 671.0 || a.Errors[0].Extensions["retryAfter"] == nil {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	checkAnswer(t, a)
	if a := b.As(t, other, query, nil); a.Status != 200 {
		t.Errorf("another key: %d %s", a.Status, a.Body)
	}
	b.As(t, b.Key, "{"+strings.Repeat("nothing ", 40)+"}", nil)
	if a := b.As(t, b.Key, "{__typename}", nil); a.Status != 429 {
		t.Errorf("with nothing left: %d %s", a.Status, a.Body)
	}
	graphtest.Eventually(t, 30*time.Second, "there is something again", func() bool { return b.As(t, b.Key, "{__typename}", nil).Status == 200 })
}

// BenchmarkRequest is what a request costs beside what it asks for.
func BenchmarkRequest(b *testing.B) {
	benchmark(b, graphtest.New(b), `{"query":"query($a:Boolean!){__typename@skip(if:$a)}","variables":{"a":false}}`)
}

// BenchmarkCan asks one question over the handler, as most requests do.
func BenchmarkCan(b *testing.B) {
	benchmark(b, graphtest.NewDemo(b), `{"query":"query($user:UserRef!){can(user:$user,organization:{code:\"acme\"},permission:\"billing:approve\")}",
		"variables":{"user":{"email":"ada.lovelace@acme.example"}}}`)
}

// BenchmarkChecks asks a thousand questions by ids in one request.
func BenchmarkChecks(b *testing.B) {
	bundle := graphtest.NewDemo(b)
	a := bundle.Ask(b, `{ organization(by: {code: "acme"}) { id members(first: 50) { nodes { user { id } } } } }`)
	users, organization := a.Texts("organization.members.nodes", "user.id"), a.Text("organization.id")
	checks := make([]string, 1000)
	for i := range checks {
		checks[i] = fmt.Sprintf(`{"user":{"id":"%s"},"organization":{"id":"%s"},"permission":"billing:approve"}`, users[i%len(users)], organization)
	}
	benchmark(b, bundle, `{"query":"query($input:[CheckInput!]!){checks(input:$input)}","variables":{"input":[`+strings.Join(checks, ",")+`]}}`)
}

func benchmark(b *testing.B, bundle *graphtest.Server, body string) {
	header := graphtest.Headers(bundle.Key)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), "POST", "/graphql", strings.NewReader(body))
		r.Header = header
		w := httptest.NewRecorder()
		bundle.Handler.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// lookUps counts the statements that look up keys.
type lookUps struct{ running, most, all atomic.Int64 }

type lookUpKey struct{}

func (l *lookUps) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !strings.Contains(data.SQL, "use_is_news") {
		return ctx
	}
	l.all.Add(1)
	if n := l.running.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	return context.WithValue(ctx, lookUpKey{}, true)
}

func (l *lookUps) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if ctx.Value(lookUpKey{}) != nil {
		l.running.Add(-1)
	}
}

// Whoever makes up keys costs one statement at a time, and hurts nobody behind the same
// address whose key works, whether this server has seen it work or not.
func TestMadeUpKeys(t *testing.T) {
	t.Parallel()
	statements := &lookUps{}
	b := graphtest.New(t, statements)
	unseen := make([]string, 20)
	for i := range unseen {
		unseen[i] = b.Holding(t, "")
	}
	b.Ask(t, "{__typename}")
	*statements = lookUps{}
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	defer func() { stop(); flood.Wait() }()
	var sent atomic.Int64
	for range 300 {
		flood.Go(func() {
			for ctx.Err() == nil {
				sent.Add(1)
				if a := b.As(t, credential.New().Reveal(), "{__typename}", nil); a.Status != http.StatusUnauthorized {
					t.Errorf("with a made-up key: %d %s", a.Status, a.Body)
				}
			}
		})
	}
	graphtest.Eventually(t, time.Minute, "keys are made up", func() bool { return sent.Load() > 3000 })
	for began, i := time.Now(), 0; i < len(unseen) || time.Since(began) < 1500*time.Millisecond; i++ { // longer than what is known of keys counts
		b.Ask(t, "{__typename}")
		if i < len(unseen) {
			if a := b.As(t, unseen[i], "{__typename}", nil); a.Status != http.StatusOK {
				t.Errorf("with a key that was not seen before: %d %s", a.Status, a.Body)
			}
		}
	}
	stop()
	flood.Wait()
	if most := statements.most.Load(); most > 2 { // one of them for the administrator
		t.Errorf("%d look-ups ran at a time", most)
	}
	if all, keys := statements.all.Load(), sent.Load(); all > keys/5 {
		t.Errorf("%d look-ups for %d keys", all, keys)
	}
}
