package directory_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
	"roster/directory"
)

var (
	long       = flag.Bool("long", false, "ask the oracle a million questions, which takes a quarter of an hour, try more random worlds and pairs of last administrators, and take each effect from every action")
	oracleSeed = flag.Uint64("oracle.seed", 0, "replay the history of this seed")
)

// Variant is a way in which a directory can answer.
type Variant struct {
	access.Options
	// Follow says that it follows the log of changes; without it, all answers come
	// from the database.
	Follow bool
	// Elsewhere says that another server answers than the one that writes; it gets the
	// revision that the answer has to have seen.
	Elsewhere bool
}

// The directory and a naive model of it go through the same random history, and get
// the same questions: whatever one forgets to invalidate, remembers for too long, or
// computes in another way in one place than in another, makes a difference.
func TestOracle(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]Variant{
		"cache on":       {Follow: true},
		"cache off":      {Follow: true, Options: access.Options{Entries: -1}},
		"cache tiny":     {Follow: true, Options: access.Options{Entries: 4}},
		"no feed":        {},
		"another server": {Follow: true, Elsewhere: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Oracle(t, v)
		})
	}
}

// Oracle compares a variant of the directory with the model: some 1,000 questions in a
// history of 50 mutations, or with -long 200,000 in histories of 100 mutations each.
func Oracle(t *testing.T, v Variant) {
	questions, want, mutations := 0, 500, 50
	if *long {
		want, mutations = 200_000, 100
	}
	for questions < want && !t.Failed() {
		seed := *oracleSeed
		if seed == 0 {
			seed = rand.Uint64()
		}
		h := newHistory(t, v, seed)
		h.run(mutations)
		questions += h.questions
		if *oracleSeed != 0 {
			break
		}
	}
	t.Logf("%d questions", questions)
}

// history is one random history, seen by a directory and by the oracle.
type history struct {
	*oracle
	t *testing.T
	// writer is the server that takes writes, reader the one that is asked.
	writer, reader *directory.Directory
	db             *db.DB
	ctx            context.Context
	seed           uint64
	random         *rand.Rand
	questions      int
	mutations      int
	trace          []string
	moments        []moment
	// last is the revision of the last mutation.
	last db.Revision
}

// moment is a point in the past, and what everybody could do then.
type moment struct {
	at  time.Time
	can map[spot][]string
}

func newHistory(t *testing.T, v Variant, seed uint64) *history {
	t.Helper()
	h := &history{
		oracle: newOracle(), t: t, db: dbtest.Open(t, setUp.DSN(t)), seed: seed, random: rand.New(rand.NewPCG(seed, 0)),
	}
	h.ctx = changes.WithCommitted(access.WithActor(t.Context(), access.System("oracle")), &h.last)
	h.writer = h.server(v)
	h.reader = h.writer
	if v.Elsewhere {
		h.reader = h.server(v)
	}
	h.adopt()
	return h
}

func (h *history) server(v Variant) *directory.Directory {
	v.Log = slog.New(slog.DiscardHandler)
	d := directory.New(h.db, v.Options)
	h.t.Cleanup(d.Close)
	if v.Follow {
		if err := d.Follow(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
	}
	return d
}

// adopt takes over what Setup has created.
func (h *history) adopt() {
	for _, r := range must(db.Select[db.Role](h.ctx, h.db, "select * from roles"))(h.t) {
		h.roles[r.ID.String()] = &definition{key: r.Key}
	}
	for _, p := range must(db.Select[db.Permission](h.ctx, h.db, "select * from permissions"))(h.t) {
		h.permissions[p.ID.String()] = &definition{key: p.Key}
	}
	for _, c := range must(db.Select[db.RolePermission](h.ctx, h.db, "select * from role_permissions"))(h.t) {
		h.roles[c.RoleID.String()].add(c.PermissionID.String(), c.GrantedAt)
	}
	for _, o := range must(db.Select[db.Organization](h.ctx, h.db, "select * from organizations where not code = 'roster'"))(h.t) {
		h.orgs[o.ID.String()] = &party{name: o.Code}
		h.defaultOrg = o.ID.String()
	}
}

// run makes that many mutations, and asks after each of them.
func (h *history) run(mutations int) {
	for range 12 {
		h.mutate(h.createUser())
		h.mutate(h.createPermission())
	}
	for range 6 {
		h.mutate(h.createRole())
		h.mutate(h.createOrganization())
	}
	for range 10 {
		h.mutate(h.addMembers())
	}
	for i := 0; i < mutations && !h.t.Failed(); i++ {
		switch h.random.IntN(12) {
		case 0:
			h.document()
		case 1:
			h.rehearse()
		default:
			h.mutate(h.mutation())
		}
		h.ask(h.ctx, h.reader, 6)
		if h.random.IntN(5) == 0 {
			h.remember()
		}
	}
}

// mutation is a random mutation of the directory and of the model.
type mutation struct {
	text string
	// do asks the server for it.
	do func(ctx context.Context) error
	// model makes it in the model, and reports whether it is possible.
	model func(o *oracle, at time.Time) bool
}

// mutate makes the mutation in the directory and in the model.
func (h *history) mutate(m mutation) { h.mutateIn(h.ctx, m) }

func (h *history) mutateIn(ctx context.Context, m mutation) {
	if h.t.Failed() {
		return
	}
	// Whether a grant has begun must not change while the mutation runs.
	for now := time.Now(); h.boundary(now, now.Add(20*time.Millisecond)); now = time.Now() {
		time.Sleep(5 * time.Millisecond)
	}
	h.mutations++
	request := fmt.Sprintf("mutation %d", h.mutations)
	from := time.Now()
	err := m.do(changes.WithRequestID(ctx, request))
	to := time.Now()
	h.note("%s: %v", m.text, err)
	next := h.oracle.clone()
	if err != nil {
		if m.model(next, to) && !h.boundary(from, to) {
			h.fail("refused: %s: %v", m.text, err)
		}
		return
	}
	at := to // when nothing was changed
	recorded := must(db.Select[time.Time](ctx, h.db, "select at from changes where request_id = $1 limit 1", request))(h.t)
	if len(recorded) > 0 {
		at = recorded[0]
	}
	possible := m.model(next, at)
	if !possible && len(recorded) == 0 { // what was still to come then can be past by now
		next = h.oracle.clone()
		possible = m.model(next, from)
	}
	if !possible {
		h.fail("accepted: %s", m.text)
	}
	h.oracle = next
}

// document makes several mutations in one transaction, which sees all of them.
func (h *history) document() {
	h.note("document")
	before := h.oracle
	err := h.writer.Writer.Atomically(h.ctx, func(ctx context.Context) error {
		h.oracle = before
		h.inside(ctx)
		return nil
	})
	if err != nil {
		h.fail("document: %v", err)
	}
}

// rehearse makes several mutations that are undone.
func (h *history) rehearse() {
	h.note("rehearsal")
	before := h.oracle
	err := h.writer.Writer.DryRun(h.ctx, func(ctx context.Context) error {
		h.oracle = before
		h.inside(ctx)
		return nil
	})
	if err != nil {
		h.fail("rehearsal: %v", err)
	}
	h.oracle = before
}

// inside makes mutations that cannot fail: after a failure the transaction is
// over.
func (h *history) inside(ctx context.Context) {
	for range 1 + h.random.IntN(3) {
		m := h.mutation()
		if !m.model(h.oracle.clone(), time.Now().Add(time.Minute)) || !m.model(h.oracle.clone(), time.Now()) {
			continue
		}
		h.mutateIn(ctx, m)
		h.ask(ctx, h.writer, 2)
	}
}

// remember keeps what everybody can do now, for later questions.
func (h *history) remember() {
	m := moment{*must(db.SelectOne[time.Time](h.ctx, h.db, "select clock_timestamp()"))(h.t), map[spot][]string{}}
	for s := range h.members {
		m.can[s] = nil
		for _, id := range h.effective(s, m.at) {
			m.can[s] = append(m.can[s], id+" from "+describe(h.sources(s, id, held, m.at)))
		}
	}
	h.moments = append(h.moments, m)
}

func (h *history) note(format string, args ...any) {
	h.trace = append(h.trace, time.Now().UTC().Format("04:05.000000 ")+fmt.Sprintf(format, args...))
}

// fail fails the test, with the way to run it again and the mutations before.
func (h *history) fail(format string, args ...any) {
	h.t.Helper()
	h.t.Errorf("%s\nreplay: go test ./directory -run '%s' -oracle.seed=%d\nthe last mutations:\n\t%s", fmt.Sprintf(format, args...),
		strings.ReplaceAll(h.t.Name(), " ", "_"), h.seed, strings.Join(h.trace[max(0, len(h.trace)-25):], "\n\t"))
}
