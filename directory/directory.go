// Package directory holds the rules: every read and write of users,
// organizations, memberships, roles and permissions. A function checks the
// actor's permission, runs its SQL, and, if it writes, records what changed;
// each concept has a file.
package directory

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/problem"
)

// Directory is the business's users, organizations, roles and permissions.
type Directory struct {
	// Writer makes every write, also the writes of other packages: it guards the last
	// administrator, and keeps memory true.
	Writer *changes.Writer

	db     *db.DB
	engine *access.Engine
	feed   *changes.Follower
	log    *slog.Logger
	keys   *credential.Keys
	// sessions finds the sessions of people.
	sessions *credential.Sessions
	// identities remembers whose identities are.
	identities *lru.Cache[IdentityName, knownIdentity]
	clock      func() time.Time

	providerRules ProviderRules
	// reservedKeys are those that no identity provider can have.
	reservedKeys []string
}

// New returns the directory that is kept in database; Setup prepares a new one,
// Follow makes it fast, and Close ends it.
func New(database *db.DB, o access.Options) *Directory {
	engine := access.NewEngine(database, o)
	d := &Directory{db: database, engine: engine, log: o.Log, identities: newIdentities(), clock: time.Now}
	d.feed = changes.NewFollower(database, o.Log, changes.FollowerOptions{Reset: d.reset}, d.apply)
	d.Writer = changes.NewWriter(database, d.feed, o.Log, changes.Hooks{Check: keepAdministrator, Look: d.lookAtActor, Parties: parties, Committed: d.committed})
	d.keys = credential.NewKeys(database, d.Writer, o.Log)
	d.sessions = credential.NewSessions(database, d.Writer, func() time.Time { return d.clock() }, o.Log)
	return d
}

// apply applies changes of all servers: memory forgets what they concern, and what this
// server is doing for those that they have ended is interrupted.
func (d *Directory) apply(ctx context.Context, rows []db.Change) (again bool) {
	again = d.engine.Apply(ctx, rows)
	d.endSessions(rows)
	d.Writer.Ended(rows)
	return again
}

// Follow begins to follow the log of changes of all servers. Until then, and
// whenever the log cannot be followed, every answer comes from the database.
func (d *Directory) Follow(ctx context.Context) error {
	if err := d.feed.Start(ctx); err != nil {
		return err
	}
	d.engine.Follow(d.feed)
	return nil
}

// Position returns the point in history up to which this server knows all changes.
func (d *Directory) Position() changes.Revision { return d.feed.Position() }

// Await returns when this server knows all changes up to the revision, which is
// in text form. It returns INVALID if the text is not a revision, and STALE if the
// revision does not come in time.
func (d *Directory) Await(ctx context.Context, revision string) error {
	r, err := changes.ParseRevision(revision)
	if err != nil {
		return problem.New(problem.Invalid, "Roster-At-Least is not a revision.")
	}
	return d.feed.Wait(ctx, r)
}

// Stats returns how checks are answered.
func (d *Directory) Stats() access.Stats { return d.engine.Stats() }

// readyLag is how far behind the feed of changes may be while the server is ready,
// however large the staleness bound is.
const readyLag = 2 * time.Second

// Ready returns an error while requests cannot be answered well: the feed of changes
// does not come. The feed asks the database three times a second on connections of its
// own, so that the answer does not depend on how busy the server is.
func (d *Directory) Ready() error {
	if lag := d.engine.Stats().Lag; lag > min(d.engine.Staleness(), readyLag) {
		return fmt.Errorf("the feed of changes is %v behind", lag.Round(time.Millisecond))
	}
	return nil
}

// Writers returns how many transactions can write at a time, and how many urgent ones
// beside them; see db.Urgently.
func (d *Directory) Writers() (writes, urgent int) { return d.db.Writers() }

// Away reports whether the database is silent: the feed of changes, which asks it
// three times a second, has had no answer for longer than the staleness bound.
func (d *Directory) Away() bool { return d.engine.Stats().Lag > d.engine.Staleness() }

// Close stops the work in the background; call it when no request runs any more. The
// database stays open.
func (d *Directory) Close() {
	d.feed.Close()
	d.keys.Close()
	d.sessions.Close()
}

// write is one write of the directory under way, and the actor who makes it.
type write struct {
	*changes.Write
	actor  *access.Actor
	faults faults

	// authority is what the actor may hand out; nil until allow has read it. refused is
	// what was refused so far, and escalation the fault that says so, if there is one.
	authority  *access.Authority
	refused    access.Refusal
	escalation *problem.Error

	// These were read before they are asked for; see ahead.go.
	roles       readAhead[db.Role]
	permissions readAhead[db.Permission]
	// contents holds what the roles that were read ahead contain.
	contents *db.Rows[content]
}

// change makes every write: fn writes rows and records what it changed, in the
// transaction of ctx or one of its own. The actor must hold the permission for the
// business as a whole.
func (d *Directory) change(ctx context.Context, need access.Permission, fn func(ctx context.Context, w *write) error) error {
	if err := access.Require(ctx, need); err != nil {
		return err
	}
	return d.write(ctx, fn)
}

// changeIn is change for writes in one organization: it is enough that the actor
// holds the permission there. If there is no such organization, fn is called with
// nil, so that it reports the other faults of the input.
func (d *Directory) changeIn(ctx context.Context, need access.Permission, in OrganizationRef,
	fn func(ctx context.Context, w *write, org *db.Organization) error,
) error {
	if _, err := access.ScopeOf(ctx, need); err != nil {
		return err
	}
	return d.write(ctx, func(ctx context.Context, w *write) error {
		org, err := d.lockOrganization(ctx, w, need, in, "input.organization")
		if err != nil {
			return err
		}
		return fn(ctx, w, org)
	})
}

// write runs fn in a write on behalf of the actor of ctx.
func (d *Directory) write(ctx context.Context, fn func(ctx context.Context, w *write) error) error {
	actor := access.ActorOf(ctx)
	return d.Writer.Write(ctx, actor.String(), func(ctx context.Context, w *changes.Write) error {
		return fn(ctx, &write{Write: w, actor: actor, faults: faults{&w.Faults}})
	})
}
