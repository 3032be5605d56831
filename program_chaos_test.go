package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"roster/db/dbtest"
	"roster/db/embedded"
	"roster/secret"
)

// staleness is how long an answer may lag behind, unless the operator says otherwise; see
// docs/consistency.md.
const staleness = time.Second

// Two servers share a PostgreSQL, and one after the other is disturbed while clients write
// and check. No check allows what was revoked longer than the bound ago, no acknowledged
// write is lost, and both servers recover by themselves.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := startChaos(t)
	rounds := 1
	if *long {
		rounds = 20
	}
	n := 0
	for range rounds {
		for name, disturb := range c.disturbances() {
			n += 2
			writers := []*writers{c.begin(0, n), c.begin(1, n+1)}
			c.grant(name)
			mend := disturb()
			c.revoke()
			time.Sleep(staleness + staleness/2) // in which nothing may be allowed, for the last third
			mend()
			for i, w := range writers {
				c.server(i).wantReady()
				w.end()
				w.wantAll(c.server(i), name)
			}
		}
	}
	c.end()
	t.Logf("%d checks were denied after the bound", c.denied)
	if c.denied == 0 {
		t.Error("nothing was checked after the bound")
	}
}

// chaos is two servers on one PostgreSQL, each behind a proxy of its own. Clients ask each of
// them all the while whether Ada has a permission.
type chaos struct {
	t        *testing.T
	postgres *embedded.Server
	proxies  [2]*dbtest.Proxy
	programs [2]*program
	stop     context.CancelFunc
	work     sync.WaitGroup

	mu      sync.Mutex
	running [2]*process
	// revoked is when the revocation of the permission was acknowledged; zero while Ada has
	// it, or may have it.
	revoked time.Time
	// allowed is how many checks were allowed since the last grant, by server, and denied how
	// many were denied after the bound.
	allowed [2]int
	denied  int
}

func startChaos(t *testing.T) *chaos {
	t.Helper()
	c := &chaos{t: t, postgres: dbtest.NewServer(t)}
	shared := secret.NewKey()
	for i := range c.programs {
		var dsn string
		c.proxies[i], dsn = dbtest.NewProxy(t, c.postgres.DSN("postgres"))
		c.programs[i] = setup(t)
		c.programs[i].env = []string{"DATABASE_URL=" + dsn, "ROSTER_SECRET_KEY=" + shared.Reveal()}
		c.start(i)
	}
	_, err := c.server(0).ask(t.Context(), `mutation {
		p: createPermission(input: {key: "invoices:read"}) { permission { id } }
		u: createUser(input: {username: "ada"}) { user { id } }
	}`, nil)
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	c.stop = sync.OnceFunc(stop)
	for i := range c.programs {
		c.work.Go(func() { c.check(ctx, i) })
	}
	t.Cleanup(c.end)
	return c
}

func (c *chaos) end() { c.stop(); c.work.Wait() }

// start starts a server. Both have the key of the first one.
func (c *chaos) start(i int) {
	r := c.programs[i].start()
	if i > 0 {
		r.key = c.server(0).key
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[i] = r
}

func (c *chaos) server(i int) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[i]
}

// begin starts writing to a server, a little at a time.
func (c *chaos) begin(i, round int) *writers {
	c.t.Helper()
	w := &writers{known: map[string]bool{}, pause: 250 * time.Millisecond}
	w.begin(c.server(i), round)
	return w
}

// disturbances are what happens to servers, by name. Each returns how it is mended.
func (c *chaos) disturbances() map[string]func() (mend func()) {
	nothing := func() {}
	weather := func(feed, rest dbtest.Weather) func() func() {
		return func() func() {
			proxy := c.proxies[rand.IntN(2)]
			proxy.Set(feed, rest)
			return func() { proxy.Set(dbtest.Weather{}, dbtest.Weather{}) }
		}
	}
	silent, down := dbtest.Weather{Stalled: true}, dbtest.Weather{Down: true}
	return map[string]func() func(){
		"a server is killed": func() func() {
			i := rand.IntN(2)
			c.server(i).kill()
			return func() { c.start(i) }
		},
		"PostgreSQL is killed":           func() func() { must(c.t, syscall.Kill(c.postgres.Pid(), syscall.SIGKILL)); return nothing },
		"a network is cut":               weather(down, down),
		"a network is silent":            weather(silent, silent),
		"a network is silent to changes": weather(silent, dbtest.Weather{}),
	}
}

const adasGrant = `(input: {organization: {code: "default"}, users: [{username: "ada"}], permissions: [{key: "invoices:read"}]}) { memberships { id } } }`

// grant grants the permission, and returns when each server has allowed it, so that it
// remembers.
func (c *chaos) grant(next string) {
	c.t.Helper()
	c.mu.Lock()
	c.revoked, c.allowed = time.Time{}, [2]int{}
	c.mu.Unlock()
	eventually(c.t, func() error {
		// A request that fails was carried out or will never be: nothing is disturbed now.
		_, err := c.server(0).ask(c.t.Context(), "mutation { grantPermissions"+adasGrant, nil)
		return err
	})
	eventually(c.t, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if min(c.allowed[0], c.allowed[1]) == 0 {
			return fmt.Errorf("before %s: a server does not allow what was granted", next)
		}
		return nil
	})
}

// revoke revokes the permission by whichever server answers.
func (c *chaos) revoke() {
	c.t.Helper()
	n := 0
	eventually(c.t, func() error {
		n++
		soon, cancel := context.WithTimeout(c.t.Context(), staleness/2)
		defer cancel()
		_, err := c.server(n%2).ask(soon, "mutation { revokePermissions"+adasGrant, nil)
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revoked = time.Now()
}

// check asks a server for the permission, over and over.
func (c *chaos) check(ctx context.Context, i int) {
	for ctx.Err() == nil {
		c.mu.Lock()
		revoked, r := c.revoked, c.running[i]
		c.mu.Unlock()
		began := time.Now()
		data, err := r.ask(ctx, `{ can(user: {username: "ada"}, organization: {code: "default"}, permission: "invoices:read") }`, nil)
		late := !revoked.IsZero() && began.Sub(revoked) > staleness
		c.mu.Lock()
		switch again := c.revoked != revoked; {
		case err != nil || again:
		case data["can"] == true && late:
			c.t.Errorf("server %d allows what was revoked %v ago", i, began.Sub(revoked))
		case data["can"] == true:
			c.allowed[i]++
		case late:
			c.denied++
		}
		c.mu.Unlock()
		pause(ctx, 20*time.Millisecond)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
