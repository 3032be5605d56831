package directory

import (
	"context"
	"errors"
	"slices"
	"time"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/problem"
)

// lockActorText locks what the authority of the key $1 stands on against being changed,
// as far as nobody changes it now, and selects whether it is all locked, and whether the
// key works: the keys of its line, their users, organizations and members, and the
// memberships of its user $2 in the organizations $3, with the roles granted there. A row that somebody
// else writes to is skipped: waiting for it here could be waiting for someone who waits
// for this transaction.
var lockActorText = `
with recursive line_of as (
		select id, responsible_id, user_id, org_id from api_keys where id = $1
		union select a.id, a.responsible_id, a.user_id, a.org_id from line_of join api_keys a on a.id = line_of.responsible_id),
	locked_keys as (select * from api_keys where id in (select id from line_of) for share skip locked),
	locked_users as (select * from users where id in (select user_id from line_of) for share skip locked),
	locked_organizations as (select * from organizations where id in (select org_id from line_of) for share skip locked),
	members_of as (select org_id, user_id from memberships where (org_id, user_id) in (select coalesce(org_id, ` + db.RootSQL + `), user_id from line_of)
		union select org_id, user_id from memberships where user_id = $2::uuid and org_id = any($3)),
	locked_members as (select org_id, user_id, status from memberships where (org_id, user_id) in (select org_id, user_id from members_of) for share skip locked),
	roles_of as (select distinct role_id from membership_roles where user_id = $2::uuid and org_id = any($3) and live),
	locked_roles as (select id from roles where id in (select role_id from roles_of) for share skip locked)
select (select count(*) from locked_keys) = (select count(*) from line_of)
	and (select count(*) from locked_users) = (select count(distinct user_id) from line_of)
	and (select count(*) from locked_organizations) = (select count(distinct org_id) from line_of)
	and (select count(*) from locked_members) = (select count(*) from members_of)
	and (select count(*) from locked_roles) = (select count(*) from roles_of) as locked,
	exists (select from `

// lockSessionText is lockActorText for the session $1 of the user $2.
const lockSessionText = `
with locked_sessions as (select * from sessions where user_id = $2 and id = $1 for share skip locked),
	locked_users as (select * from users where id = $2 for share skip locked),
	locked_organizations as (select id from organizations where id = any($3) for share skip locked),
	locked_members as (select id from memberships where user_id = $2 and org_id = any($3) for share skip locked),
	roles_of as (select distinct role_id from membership_roles where user_id = $2 and org_id = any($3) and live),
	locked_roles as (select id from roles where id in (select role_id from roles_of) for share skip locked)
select (select count(*) from locked_sessions) = (select count(*) from sessions where user_id = $2 and id = $1)
	and (select count(*) from locked_users) = 1
	and (select count(*) from locked_organizations) = cardinality($3)
	and (select count(*) from locked_members) = (select count(*) from memberships where user_id = $2 and org_id = any($3))
	and (select count(*) from locked_roles) = (select count(*) from roles_of) as locked,
	exists (select from `

var confirmSessionText = lockSessionText + credential.WorkingSession("locked_sessions", "locked_users", "$4::timestamptz") + `) as works`

var confirmText = lockActorText + credential.Working("locked_keys", "locked_organizations", "locked_users",
	"(select org_id, user_id from locked_members where status = 'SUSPENDED')") + `) as works`

// How long a transaction tries to lock its actor, and how often it looks.
const (
	lockActorTime  = time.Second
	lockActorPause = 2 * time.Millisecond
	lockActorRest  = 50 * time.Millisecond
)

var errEnded = problem.New(problem.Unauthenticated, "This credential is no longer valid.")

// confirmActor returns a context whose actor may do what the database says now, and
// keeps others from taking any of that away until the end of the transaction of ctx. It
// returns changes.ErrActorChanged if that is less than the actor of ctx may do, and
// UNAUTHENTICATED if it is nothing, because the key, its user or its organization has
// ended. The server itself may always do everything.
func (d *Directory) confirmActor(ctx context.Context) (context.Context, error) {
	actor := access.ActorOf(ctx)
	if actor == nil || actor.System != "" {
		return ctx, nil
	}
	if err := d.lockActor(ctx, actor); err != nil {
		return ctx, err
	}
	if actor.Session != nil {
		return d.confirmPerson(ctx, actor)
	}
	if actor.User == nil {
		return ctx, nil
	}
	fresh := *actor
	key, err := d.keys.Read(ctx, actor.Key.ID)
	if err != nil || key == nil {
		return ctx, errors.Join(err, errEnded)
	}
	fresh.Permissions = key.Permissions
	if err := d.limitToUser(ctx, &fresh); err != nil {
		return ctx, err
	}
	return confirmed(ctx, actor, &fresh)
}

// confirmPerson is confirmActor for a person, whose session is locked.
func (d *Directory) confirmPerson(ctx context.Context, actor *access.Actor) (context.Context, error) {
	fresh := access.Actor{Session: actor.Session, User: actor.User}
	if actor.Organization != nil {
		if _, err := d.actIn(ctx, &fresh, *actor.Organization); err != nil {
			return ctx, err
		}
	}
	return confirmed(ctx, actor, &fresh)
}

// confirmed returns a context with the fresh actor, and changes.ErrActorChanged if that
// may do less than the actor.
func confirmed(ctx context.Context, actor, fresh *access.Actor) (context.Context, error) {
	ctx = access.WithActor(ctx, fresh)
	if slices.ContainsFunc(actor.Permissions, func(p access.Permission) bool { return !fresh.HoldsSomewhere(p) }) ||
		slices.ContainsFunc(actor.Business, func(p access.Permission) bool { return !fresh.HoldsEverywhere(p) }) {
		return ctx, changes.ErrActorChanged
	}
	return ctx, nil
}

// parties returns the ids of all for whom the actor of ctx acts.
func parties(ctx context.Context) []string {
	actor := access.ActorOf(ctx)
	if actor == nil || actor.System != "" {
		return nil
	}
	var all []string
	if actor.Key != nil {
		all = append(all, actor.Key.ID.String())
	}
	if actor.User != nil {
		all = append(all, actor.User.String())
	}
	if actor.Organization != nil {
		all = append(all, actor.Organization.String())
	}
	return all
}

// lockActor locks what the actor's authority stands on, or returns an error if the
// actor has ended, or somebody changes it all the while.
func (d *Directory) lockActor(ctx context.Context, actor *access.Actor) error {
	places := []db.OrganizationID{db.Root}
	if actor.Organization != nil {
		places = append(places, *actor.Organization)
	}
	began := time.Now()
	for pause := lockActorPause; ; pause = min(2*pause, lockActorRest) {
		var state *struct{ Locked, Works bool }
		var err error
		if actor.Session != nil {
			state, err = db.SelectOne[struct{ Locked, Works bool }](ctx, d.db, confirmSessionText, actor.Session.ID, actor.User, places, d.clock())
		} else {
			state, err = db.SelectOne[struct{ Locked, Works bool }](ctx, d.db, confirmText, actor.Key.ID, actor.User, places)
		}
		switch {
		case err != nil:
			return err
		case state.Locked && !state.Works:
			return errEnded
		case state.Locked:
			return nil
		case time.Since(began) > lockActorTime:
			return changes.ErrActorLocked
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
