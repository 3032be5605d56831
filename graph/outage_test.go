package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"

	"roster/db"
	"roster/db/dbtest"
	"roster/graph/graphtest"
	"roster/graph/transport"
	"roster/secret"
)

// load sends every golden case over and over, and writes, until it is stopped.
type load struct {
	*testing.T
	bundle   *graphtest.Server
	requests []request
	judge    func(r *request, a *graphtest.Answer, unexpected []int)
	answered atomic.Int64
	work     sync.WaitGroup
	stop     context.CancelFunc
}

type request struct {
	name   string
	header http.Header
	body   []byte
	// codes are the errors that it always meets.
	codes []string
}

// newLoad prepares the requests; none of them waits for a revision.
func newLoad(t *testing.T, b *graphtest.Server, judge func(r *request, a *graphtest.Answer, unexpected []int)) *load {
	t.Helper()
	l := &load{T: t, bundle: b, judge: judge}
	keys := askers(t, b)
	files, err := filepath.Glob("testdata/golden/*.txt")
	graphtest.Must(t, err)
	for _, file := range files {
		for _, c := range parseGolden(t, file) {
			if c.header != "" {
				continue
			}
			r := request{name: c.name}
			r.header, r.body = requestOf(t, b, c, keys)
			var shown graphtest.Answer
			graphtest.Must(t, json.Unmarshal([]byte(c.answer), &shown))
			r.codes = strings.Fields(shown.Codes())
			l.requests = append(l.requests, r)
		}
	}
	return l
}

// start begins to send, in several orders at once.
func (l *load) start() {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	for n := range 6 {
		l.work.Go(func() {
			for i := n * len(l.requests) / 6; ctx.Err() == nil; i++ {
				r := &l.requests[i%len(l.requests)]
				l.send(r)
				if i%5 == 0 {
					l.write(n, i)
				}
			}
		})
	}
}

func (l *load) end() { l.stop(); l.work.Wait() }

func (l *load) send(r *request) {
	a := l.bundle.Send(l.T, http.MethodPost, "/graphql", r.header, r.body)
	var unexpected []int
	for i, code := range strings.Fields(a.Codes()) {
		// Documents that change the same in other orders are in each other's way.
		contended := code == "LIMITED" && a.Errors[i].Extensions["retryAfter"] != nil
		if code != "ROLLED_BACK" && !contended && !slices.Contains(r.codes, code) {
			unexpected = append(unexpected, i)
		}
	}
	l.judge(r, a, unexpected)
	l.answered.Add(1)
}

// write makes something new, for good.
func (l *load) write(n, i int) {
	body, err := json.Marshal(object{"query": `mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }`,
		"variables": object{"input": object{"email": fmt.Sprintf("u%d-%d@example.com", n, i), "organizations": graphtest.Refs("code", "acme")}}})
	graphtest.Must(l, err)
	l.send(&request{name: "a write", header: graphtest.Headers(l.bundle.Key), body: body})
}

// Columns that a newer Roster adds to each table, while this one works, are
// noticed by nobody.
func TestColumnsAreAdded(t *testing.T) {
	t.Parallel()
	b := graphtest.NewDemo(t)
	l := newLoad(t, b, func(r *request, a *graphtest.Answer, unexpected []int) {
		// On a busy machine, who waits behind a column that is being added may find no place.
		if len(unexpected) > 0 && !strings.Contains(a.Errors[unexpected[0]].Message, "too much to do") {
			t.Errorf("%s: %d %.300s", r.name, a.Status, a.Body)
		}
	})
	tables := graphtest.Rows[string](t, b, "select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname")
	l.start()
	defer l.end()
	columns := []string{"x text", "x integer not null default 7"}
	for i, table := range tables {
		answered := l.answered.Load()
		addColumn(t, b, table, columns[i%len(columns)])
		graphtest.Eventually(t, time.Minute, "requests are answered", func() bool { return l.answered.Load() > answered+5 })
	}
}

// addColumn adds a column as a migration should: it does not wait for a lock for
// long, since everybody else would wait behind it. On a busy machine, where statements
// take longer, it waits longer each time.
func addColumn(t *testing.T, b *graphtest.Server, table, column string) {
	t.Helper()
	lockTimeout := 50 * time.Millisecond
	graphtest.Eventually(t, time.Minute, table+" gets the column "+column, func() bool {
		err := b.Database.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
			_, err := tx.ExecContext(ctx, fmt.Sprintf("set local lock_timeout = %d; alter table %s add column %s", lockTimeout.Milliseconds(), table, column))
			return err
		})
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "55P03" {
			lockTimeout = min(2*lockTimeout, 2*time.Second)
			return false
		}
		graphtest.Must(t, err)
		return true
	})
}

// While the database is away, or says nothing, whatever needs it is UNAVAILABLE
// from the first moment on, and nothing else; afterwards all is as before.
func TestOutage(t *testing.T) {
	t.Parallel()
	proxy, through := dbtest.NewProxy(t, graphtest.DemoDSN(t))
	database, err := db.Open(t.Context(), secret.New(through), db.Options{})
	graphtest.Must(t, err)
	t.Cleanup(func() { _ = database.Close() })
	b := graphtest.Over(t, database).WithOptions(t, transport.Options{Timeout: 3 * time.Second, Introspection: true})
	var unavailable atomic.Int64
	l := newLoad(t, b, func(r *request, a *graphtest.Answer, unexpected []int) {
		away := len(unexpected) > 0
		if away {
			unavailable.Add(1)
		}
		for _, i := range unexpected {
			if e := a.Errors[i].Extensions; e["code"] != "UNAVAILABLE" || e["retryAfter"] != 1.0 {
				t.Errorf("%s: %d %.300s", r.name, a.Status, a.Body)
			}
		}
		if away != (a.Status == http.StatusServiceUnavailable) || away != (a.Header.Get("Retry-After") != "") {
			t.Errorf("%s: %d, retry after %q: %.300s", r.name, a.Status, a.Header.Get("Retry-After"), a.Body)
		}
	})
	l.start()
	defer l.end()
	for name, weather := range map[string]dbtest.Weather{"cut": {Down: true}, "stalled": {Stalled: true}} {
		before := unavailable.Load()
		proxy.Set(weather, weather)
		graphtest.Eventually(t, time.Minute, "requests are unavailable: "+name, func() bool { return unavailable.Load() > before+30 })
		proxy.Set(dbtest.Weather{}, dbtest.Weather{})
		graphtest.Eventually(t, time.Minute, "requests are answered again", func() bool {
			return b.As(t, b.Key, "{users{totalCount}}", nil).Status == http.StatusOK
		})
	}
}

// Behind pgbouncer everything is as without, also while other clients share its
// connections and leave behind what they can.
func TestPooler(t *testing.T) {
	t.Parallel()
	dsn := dbtest.Pooler(t, dbtest.EmptyDSN(t), "pool_mode = transaction", "server_round_robin = 1", "default_pool_size = 8")
	database, err := db.Open(t.Context(), secret.New(dsn), db.Options{})
	graphtest.Must(t, err)
	t.Cleanup(func() { _ = database.Close() })
	if !database.Pooled() {
		t.Fatal("the pooler was not found")
	}
	_, err = database.Migrate(t.Context(), slog.New(slog.DiscardHandler))
	graphtest.Must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var others sync.WaitGroup
	defer func() { stop(); others.Wait() }()
	for range 2 {
		others.Go(func() { intrude(ctx, t, dsn) })
	}
	b := graphtest.Over(t, database).WithDemo(t)
	golden(t, b, false)
	if lag := b.Directory.Stats().Lag; lag > time.Second {
		t.Errorf("the feed is %v behind", lag)
	}
}

// intrude is another client of the pooler, with prepared statements, settings and
// listeners of its session.
func intrude(ctx context.Context, t *testing.T, dsn string) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(context.Background())
	for n := 0; ctx.Err() == nil; n++ {
		for _, text := range []string{"set statement_timeout = '20s'", "set jit = on", "listen roster_changes", "set plan_cache_mode = force_generic_plan"} {
			_, _ = conn.Exec(ctx, text)
		}
		_, _ = conn.Exec(ctx, "select $1::int + 1", n)
		time.Sleep(20 * time.Millisecond) // often enough to have met each of the pooler's connections all the time
	}
}
