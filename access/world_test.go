package access_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
	"roster/directory"
	"roster/problem"
	"roster/secret"
)

// The world is small, so that operations often conflict.
const users, orgs, roles, permissions = 3, 2, 3, 4

// world is two servers on one database, and the history of what clients did.
type world struct {
	worldOptions
	t         *testing.T
	ctx       context.Context
	staleness time.Duration
	// near takes the writes; far reads, through the proxy.
	near, far *directory.Directory
	proxy     *dbtest.Proxy
	db        *db.DB // which the proxy does not disturb
	began     time.Time

	users, orgs, roles, permissions []string // ids, and keys

	mu        sync.Mutex
	history   []operation
	unsure    []operation
	registers map[operation]*register
	number    atomic.Int64
	// checked counts the checks: every other one uses Can, the rest use Checks.
	checked atomic.Int64
	// meanwhile, unless nil, runs once in the middle of the next check; reading, in the
	// middle of the next one that reads entries into memory.
	meanwhile, reading atomic.Pointer[func()]
	// lost counts the writes whose outcome only the log of changes knows, and refused
	// counts the operations that failed.
	lost, refused int
}

type worldOptions struct {
	dsn       string // a database to use instead of a new one
	without   string // a guard to leave out
	entries   int    // of the cache
	writeBoth bool   // whether far takes writes, too
	faults    func(*world, context.Context)
	clients   func(*world, context.Context) // to run instead of the random clients
}

func newWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	w := &world{worldOptions: o, t: t, staleness: 500 * time.Millisecond, ctx: access.WithActor(t.Context(), access.System("test"))}
	if w.dsn == "" {
		w.dsn = dbtest.DSN(t)
	}
	var through string
	w.proxy, through = dbtest.NewProxy(t, w.dsn)
	w.db = w.open(w.dsn)
	w.near = w.server(w.open(w.dsn))
	if err := w.near.Setup(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.populate()
	w.far = w.server(w.open(through))
	for _, d := range []*directory.Directory{w.near, w.far} {
		if err := d.Follow(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.began = time.Now()
	return w
}

func (w *world) open(dsn string) *db.DB {
	w.t.Helper()
	d, err := db.Open(w.ctx, secret.New(dsn), db.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = d.Close() })
	return d
}

func (w *world) server(database *db.DB) *directory.Directory {
	o := access.Options{Entries: w.entries, Staleness: w.staleness, Log: slog.New(slog.DiscardHandler)}
	if w.without != "" {
		o = access.Without(o, w.without)
	}
	o = access.Meanwhile(o, once(&w.meanwhile))
	o = access.Reading(o, once(&w.reading))
	d := directory.New(database, o)
	w.t.Cleanup(d.Close)
	return d
}

// once returns a function that runs what is to run, and forgets it.
func once(next *atomic.Pointer[func()]) func() {
	return func() {
		if run := next.Swap(nil); run != nil {
			(*run)()
		}
	}
}

// populate makes each user a member of every organization, without roles or
// permissions, and makes roles that contain nothing.
func (w *world) populate() {
	w.t.Helper()
	check := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	var members []*directory.OrganizationRef
	for i := range orgs {
		o, err := w.near.CreateOrganization(w.ctx, directory.CreateOrganizationInput{Name: fmt.Sprint("org", i)})
		check(err)
		w.orgs = append(w.orgs, o.ID.String())
		members = append(members, &directory.OrganizationRef{ID: &w.orgs[i]})
	}
	for i := range users {
		u, err := w.near.CreateUser(w.ctx, directory.CreateUserInput{
			Username: new(fmt.Sprint("user", i)), Organizations: members, Roles: []*directory.RoleRef{},
		})
		check(err)
		w.users = append(w.users, u.ID.String())
	}
	for i := range roles {
		w.roles = append(w.roles, fmt.Sprint("role", i))
		_, err := w.near.CreateRole(w.ctx, directory.CreateRoleInput{Key: w.roles[i]})
		check(err)
	}
	for i := range permissions {
		w.permissions = append(w.permissions, fmt.Sprint("permission", i))
		_, err := w.near.CreatePermission(w.ctx, directory.CreatePermissionInput{Key: w.permissions[i]})
		check(err)
	}
}

// do runs a write, on either server if both take writes, and records it.
func (w *world) do(ctx context.Context, o operation) {
	if ctx.Err() != nil {
		return
	}
	n := w.number.Add(1)
	d := w.near
	if w.writeBoth && n%2 == 0 {
		d = w.far
	}
	o.request = strconv.FormatInt(n, 10)
	o.call = w.now()
	err := w.write(changes.WithRequestID(w.ctx, o.request), d, o)
	o.ret = w.now()
	w.note(o, err)
	if err != nil {
		sleep(ctx, 10*time.Millisecond)
	}
}

// note records a write that was acknowledged. A write that was refused did nothing; the
// outcome of one that failed otherwise, above all since PostgreSQL was away, is unsure.
func (w *world) note(o operation, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.history = append(w.history, o)
	case len(problem.All(err)) > 0 && !problem.Is(err, problem.Unavailable) || db.Retryable(err):
		w.refused++
	default:
		w.lost++
		w.unsure = append(w.unsure, o)
	}
}

// settle looks up in the log which of the unsure writes were done. They may have been
// done at any time since they began.
func (w *world) settle() {
	time.Sleep(300 * time.Millisecond)   // until a commit under way has ended
	limit := time.Now().Add(time.Minute) // for PostgreSQL to be back
	for _, o := range w.unsure {
		var done []string
		for {
			var err error
			if done, err = db.Select[string](w.ctx, w.db, "select action from changes where request_id = $1", o.request); err == nil {
				break
			}
			if time.Now().After(limit) {
				w.t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if len(done) > 0 {
			o.ret = w.now()
			w.history = append(w.history, o)
		}
	}
	w.unsure = nil
}

func (w *world) write(ctx context.Context, d *directory.Directory, o operation) (err error) {
	org, user := directory.OrganizationRef{ID: &w.orgs[o.org]}, directory.UserRef{ID: &w.users[o.user]}
	role, permission := directory.RoleRef{Key: &w.roles[o.role]}, directory.PermissionRef{Key: &w.permissions[o.permission]}
	members, given := []*directory.UserRef{&user}, []*directory.RoleRef{&role}
	contents := directory.RolePermissionsInput{Role: role, Permissions: []*directory.PermissionRef{&permission}}
	switch o.kind {
	case grantRole:
		_, err = d.GrantRoles(ctx, directory.GrantRolesInput{Organization: org, Users: members, Roles: given})
	case revokeRole:
		_, err = d.RevokeRoles(ctx, directory.RevokeRolesInput{Organization: org, Users: members, Roles: given})
	case grantPermission:
		_, err = d.GrantPermissions(ctx, directory.GrantPermissionsInput{Organization: org, Users: members, Permissions: contents.Permissions})
	case revokePermission:
		_, err = d.RevokePermissions(ctx, directory.RevokePermissionsInput{Organization: org, Users: members, Permissions: contents.Permissions})
	case addPermission:
		_, err = d.AddRolePermissions(ctx, contents)
	case removePermission:
		_, err = d.RemoveRolePermissions(ctx, contents)
	case suspendUser:
		_, err = d.SuspendUser(ctx, directory.UserActionInput{User: user})
	case restoreUser:
		_, err = d.RestoreUser(ctx, directory.UserActionInput{User: user})
	case suspendOrg:
		_, err = d.SuspendOrganization(ctx, directory.OrganizationActionInput{Organization: org})
	case restoreOrg:
		_, err = d.RestoreOrganization(ctx, directory.OrganizationActionInput{Organization: org})
	}
	return err
}

// ask checks on either server, with or without naming a revision.
func (w *world) ask(ctx context.Context, o operation) {
	o.far, o.awaited = rand.IntN(2) == 0, rand.IntN(2) == 0
	w.check(ctx, o)
}

// check checks and records the answer. In o, far chooses the server, and awaited makes
// it see all acknowledged writes first.
func (w *world) check(ctx context.Context, o operation) {
	d := w.near
	if o.far {
		d = w.far
	}
	o.kind = check
	// The server that takes all writes has seen them.
	o.strict = o.awaited || !o.far && !w.writeBoth
	o.call = w.now()
	if ctx.Err() != nil || o.awaited && !w.await(ctx, d) {
		return
	}
	org, user, permission := directory.OrganizationRef{ID: &w.orgs[o.org]}, directory.UserRef{ID: &w.users[o.user]}, w.permissions[o.permission]
	var err error
	if w.checked.Add(1)%2 == 0 {
		o.allowed, err = d.Can(w.ctx, user, org, permission)
	} else {
		var all []bool
		if all, err = d.Checks(w.ctx, []*directory.CheckInput{{User: user, Organization: org, Permission: permission}}); err == nil {
			o.allowed = all[0]
		}
	}
	o.ret = w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.refused++
		return
	}
	w.history = append(w.history, o)
}

// await makes the server see all writes that are acknowledged by now. It reports
// whether it did within 100 ms.
func (w *world) await(ctx context.Context, d *directory.Directory) bool {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	revision, err := db.SelectOne[string](ctx, w.db, "select pg_current_snapshot()::text")
	return err == nil && d.Await(ctx, *revision) == nil
}

func (w *world) now() int64 { return int64(time.Since(w.began)) }
