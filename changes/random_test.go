package changes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
	"roster/secret"
)

// Every follower delivers each committed change once and nothing else, whatever writers
// and connections do.
func TestEveryChangeIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	w := &writers{T: t, db: open(t, dsn, db.Options{})}
	w.db.SetMaxOpenConns(12)
	for i := range subjects {
		if i == 0 {
			w.execute("create table subjects (id int primary key, n int not null default 0)")
		}
		w.execute("insert into subjects values (?)", i)
	}
	o := changes.FollowerOptions{Poll: 20 * time.Millisecond, WaitTimeout: time.Minute}
	w.followers = []*consumer{follow(t, open(t, dsn, db.Options{}), o), follow(t, open(t, dsn, db.Options{Tracer: faulty{}}), o)}

	long := begin(t, w.db)
	record(t, long, "long")
	harm, stop := context.WithCancel(t.Context())
	var harming, writing sync.WaitGroup
	harming.Go(func() { w.killListeners(harm) })
	for range 8 {
		writing.Go(func() {
			for range 40 {
				w.transaction()
			}
		})
	}
	writing.Wait()
	stop()
	harming.Wait()
	commit(t, long)

	var committed []db.ChangeID
	if err := w.db.NewSelect().Model((*db.Change)(nil)).Column("id").Order("id").Scan(t.Context(), &committed); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.followers {
		c.catchUp(t, w.db)
		delivered, resets := c.take()
		if resets != 0 {
			t.Errorf("%d resets", resets)
		}
		checkOrder(t, delivered)
		var ids []db.ChangeID
		for _, one := range delivered {
			ids = append(ids, one.ID)
		}
		slices.SortFunc(ids, func(a, b db.ChangeID) int { return slices.Compare(a[:], b[:]) })
		if !slices.Equal(ids, committed) {
			t.Errorf("%d changes delivered, %d committed", len(ids), len(committed))
		}
	}
	t.Logf("%d changes committed", len(committed))
}

// subjects is the number of rows that the writers compete for.
const subjects = 4

// writers write changes side by side.
type writers struct {
	*testing.T
	db        *db.DB
	followers []*consumer
}

func open(t testing.TB, dsn string, o db.Options) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), secret.New(dsn), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func (w *writers) execute(text string, args ...any) {
	w.Helper()
	if _, err := w.db.ExecContext(context.Background(), text, args...); err != nil {
		w.Error(err)
	}
}

// transaction sometimes increments a subject while it holds the lock on it, writes
// other changes for a while, and then commits or rolls back.
func (w *writers) transaction() {
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		w.Error(err)
		return
	}
	defer func() { _ = tx.Rollback() }()
	check := func(_ any, err error) {
		if err != nil {
			w.Error(err)
		}
	}
	pause := func() { time.Sleep(rand.N(3 * time.Millisecond)) }
	if chance(0.6) {
		id, n := rand.N(subjects), 0
		check(nil, tx.NewRaw("select n from subjects where id = ? for update", id).Scan(ctx, &n))
		check(tx.ExecContext(ctx, "update subjects set n = n + 1 where id = ?", id))
		row := newChange(fmt.Sprint("subject ", id))
		row.After = json.RawMessage(fmt.Sprintf(`{"n": %d}`, n+1))
		check(tx.NewInsert().Model(row).ExcludeColumn("xid").Exec(ctx))
	}
	for range rand.N(3) {
		pause()
		check(tx.ExecContext(ctx, "savepoint s"))
		record(w, tx, "other")
		if chance(0.5) {
			check(tx.ExecContext(ctx, "rollback to savepoint s"))
		}
	}
	pause()
	if chance(0.2) {
		return
	}
	check(nil, tx.Commit())
	if chance(0.5) {
		w.followers[rand.N(len(w.followers))].Notify()
	}
}

func chance(p float64) bool { return rand.Float64() < p }

// killListeners ends a connection that listens, again and again at random, until ctx ends.
func (w *writers) killListeners(ctx context.Context) {
	for ctx.Err() == nil {
		w.execute(`select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and query like 'listen %' order by random() limit 1`)
		time.Sleep(rand.N(150 * time.Millisecond))
	}
}

// faulty cancels some steps, before or while the database works on them.
type faulty struct{}

func (faulty) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if data.SQL != changes.Since || chance(0.8) {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(rand.N(400*time.Microsecond), cancel)
	return ctx
}

func (faulty) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// checkOrder checks that each subject is incremented by one, in the order of its locks.
func checkOrder(t *testing.T, delivered []db.Change) {
	t.Helper()
	last := map[string]int{}
	counted := 0
	for _, one := range delivered {
		if one.After == nil {
			continue
		}
		var after struct{ N int }
		if err := json.Unmarshal(one.After, &after); err != nil {
			t.Fatal(err)
		}
		if after.N != last[one.Subject]+1 {
			t.Errorf("%s: %d was delivered after %d", one.Subject, after.N, last[one.Subject])
		}
		last[one.Subject] = after.N
		counted++
	}
	if counted == 0 {
		t.Error("no subject was incremented")
	}
}
