package graph_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// The primary is lost while servers write, and its standby promoted, as docs/operations.md
// says. The servers find it: they go on writing, nothing that was acknowledged is missing,
// and revisions of the lost primary are answered with what the database has now.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary := dbtest.NewServer(t)
	standby := dbtest.NewStandby(t, primary)
	b := graphtest.Over(t, open(t, dbtest.EitherDSN(t, primary, standby)))
	reader := b.Restarted(t)
	w := &acknowledged{business: b}
	ctx, stop := context.WithCancel(t.Context())
	defer func() { stop(); w.work.Wait() }()
	for n := range 3 {
		w.work.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.write(t, fmt.Sprintf("u%d-%d@example.com", n, i))
			}
		})
	}
	w.wantMore(t)
	graphtest.Must(t, syscall.Kill(primary.Pid(), syscall.SIGKILL))
	_ = primary.Stop() // so that nothing starts it again
	ofPrimary, _ := w.last()
	dbtest.Execute(t, standby, "select pg_promote()")
	w.wantMore(t)
	stop()
	w.work.Wait()

	for _, on := range []*graphtest.Server{b, reader} {
		for _, revision := range []string{ofPrimary, w.revision} {
			header := graphtest.Headers(b.Key)
			header.Set("Roster-At-Least", revision)
			a := on.Send(t, http.MethodPost, "/graphql", header, []byte(`{"query":"{ users { totalCount } }"}`))
			if count, _ := a.At("users.totalCount").(float64); a.Status != http.StatusOK || int(count) < len(w.emails) {
				t.Errorf("after %s: %d %s, and %d were acknowledged", revision, a.Status, a.Body, len(w.emails))
			}
		}
	}
	has := map[string]bool{}
	for _, email := range graphtest.Rows[string](t, b, "select email from users where email is not null") {
		has[email] = true
	}
	for _, email := range w.emails {
		if !has[email] {
			t.Errorf("%s was acknowledged, and is lost", email)
		}
	}
}

// acknowledged holds the users that a server has acknowledged to have made, and the
// revision of the last one.
type acknowledged struct {
	business *graphtest.Server
	work     sync.WaitGroup
	mu       sync.Mutex
	emails   []string
	revision string
}

// write makes a user. It may fail, as long as there is no primary.
func (w *acknowledged) write(t *testing.T, email string) {
	a := w.business.As(t, w.business.Key, `mutation($email: String!) { createUser(input: {email: $email}) { user { id } } }`, object{"email": email})
	if a.Status != http.StatusOK || a.Codes() != "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.emails = append(w.emails, email)
	w.revision, _ = graphtest.At(graphtest.ParseJSON(t, string(a.Body)), "extensions.revision").(string)
}

func (w *acknowledged) last() (revision string, count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.revision, len(w.emails)
}

// wantMore waits until more writes are acknowledged than can have been under way.
func (w *acknowledged) wantMore(t *testing.T) {
	t.Helper()
	_, before := w.last()
	graphtest.Eventually(t, 2*time.Minute, "writes are acknowledged", func() bool { _, now := w.last(); return now > before+10 })
}
