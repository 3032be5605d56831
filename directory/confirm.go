package directory

import (
	"context"
	"slices"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/problem"
)

// lockActorText locks what the authority of the key $1 stands on against being changed,
// as far as nobody changes it now, and selects whether it is all locked: the keys of its
// line, their users, organizations and members, and the memberships of its user $2 in the
// organizations $3, with the roles granted there, and the permissions that the key has. A
// row that somebody else writes to is skipped: waiting for it here could be waiting for
// someone who waits for this transaction.
var lockActorText = `
with recursive line_of as (
		select id, responsible_id, responsible_user_id, user_id, org_id from api_keys where id = $1
		union select a.id, a.responsible_id, a.responsible_user_id, a.user_id, a.org_id from line_of join api_keys a on a.id = line_of.responsible_id),
	locked_keys as (select id from api_keys where id in (select id from line_of) for share skip locked),
	users_of as (select user_id as id from line_of where user_id is not null union select responsible_user_id from line_of where responsible_user_id is not null),
	locked_users as (select id from users where id in (select id from users_of) for share skip locked),
	locked_organizations as (select id from organizations where id in (select org_id from line_of) for share skip locked),
	members_of as (select org_id, user_id from memberships where (org_id, user_id) in (select coalesce(org_id, ` + db.RootSQL + `), user_id from line_of)
		union select org_id, user_id from memberships where user_id = $2::uuid and org_id = any($3)),
	locked_members as (select id from memberships where (org_id, user_id) in (select org_id, user_id from members_of) for share skip locked),
	roles_of as (select distinct role_id from membership_roles where user_id = $2::uuid and org_id = any($3) and live),
	locked_roles as (select id from roles where id in (select role_id from roles_of) for share skip locked)
select (select count(*) from locked_keys) = (select count(*) from line_of)
	and (select count(*) from locked_users) = (select count(*) from users_of)
	and (select count(*) from locked_organizations) = (select count(distinct org_id) from line_of)
	and (select count(*) from locked_members) = (select count(*) from members_of)
	and (select count(*) from locked_roles) = (select count(*) from roles_of)`

// lockPersonText is lockActorText for the session $1 of the person $2.
const lockPersonText = `
with locked_sessions as (select id from sessions where user_id = $2 and id = $1 for share skip locked),
	locked_users as (select id from users where id = $2 for share skip locked),
	locked_organizations as (select id from organizations where id = any($3) for share skip locked),
	locked_members as (select id from memberships where user_id = $2 and org_id = any($3) for share skip locked),
	roles_of as (select distinct role_id from membership_roles where user_id = $2 and org_id = any($3) and live),
	locked_roles as (select id from roles where id in (select role_id from roles_of) for share skip locked)
select (select count(*) from locked_sessions) = (select count(*) from sessions where user_id = $2 and id = $1)
	and (select count(*) from locked_users) = 1
	and (select count(*) from locked_organizations) = cardinality($3)
	and (select count(*) from locked_members) = (select count(*) from memberships where user_id = $2 and org_id = any($3))
	and (select count(*) from locked_roles) = (select count(*) from roles_of)`

// mayActText selects whether the user $1 is a member of the organization $2 who may act
// there.
const mayActText = "select exists (select " + actsInSQL + " and m.org_id = $2)"

var errEnded = problem.New(problem.Unauthenticated, "This credential is no longer valid.")

// lookAtActor adds to b the statements that lock what the actor of ctx stands on and read
// what it may do: see changes.Hooks. The server itself may always do everything. An actor
// may do less than before, too, if something that has authorised a write of the
// transaction now ends earlier.
func (d *Directory) lookAtActor(ctx context.Context, b *db.Batch) func() (context.Context, error) {
	actor := access.ActorOf(ctx)
	switch {
	case actor == nil || actor.System != "":
		return func() (context.Context, error) { return ctx, nil }
	case actor.Session != nil:
		return d.lookAtPerson(ctx, b, actor)
	}
	locked := db.Queue[bool](b, lockActorText, actor.Key.ID, actor.User, actor.Organizations())
	readKey, readAuthority := credential.QueueWorking(b, actor.Key.ID), access.QueueAuthority(b, actor)
	return func() (context.Context, error) {
		if !*locked.One() {
			return ctx, changes.ErrActorLocked
		}
		key, authority := readKey(), readAuthority()
		if key == nil {
			return ctx, errEnded
		}
		fresh := *actor
		fresh.Permissions = authority.Held(key.Permissions)
		return looked(ctx, actor, &fresh, authority)
	}
}

// lookAtPerson is lookAtActor for a person, who may act in one organization. Somebody who is
// not there, but whose invitation is accepted, has a session without an id.
func (d *Directory) lookAtPerson(ctx context.Context, b *db.Batch, actor *access.Actor) func() (context.Context, error) {
	locked := db.Queue[bool](b, lockPersonText, actor.Session.ID, *actor.User, actor.Organizations())
	works := func() bool { return true }
	if !actor.Session.ID.IsZero() {
		works = credential.QueueWorkingSession(b, credential.SessionName{User: *actor.User, Session: actor.Session.ID}, d.clock())
	}
	mayAct, readAuthority := db.Queue[bool](b, mayActText, *actor.User, actor.Organization), access.QueueAuthority(b, actor)
	return func() (context.Context, error) {
		switch {
		case !*locked.One():
			return ctx, changes.ErrActorLocked
		case !works():
			return ctx, errEnded
		}
		authority, fresh := readAuthority(), *actor
		fresh.Permissions, fresh.Business = nil, nil
		if *mayAct.One() {
			fresh.Permissions, fresh.Business = authority.Held(actor.Permissions), authority.HeldForBusiness(actor.Business)
		}
		return looked(ctx, actor, &fresh, authority)
	}
}

// looked returns a context with the actor as it is now, and changes.ErrActorChanged if it
// may do less than before.
func looked(ctx context.Context, before, now *access.Actor, authority *access.Authority) (context.Context, error) {
	ctx = access.WithActor(ctx, now)
	if slices.ContainsFunc(before.Permissions, func(p access.Permission) bool { return !now.HoldsSomewhere(p) }) ||
		slices.ContainsFunc(before.Business, func(p access.Permission) bool { return !now.HoldsEverywhere(p) }) ||
		slices.ContainsFunc(authoritiesIn(ctx), authority.EndsBefore) {
		return ctx, changes.ErrActorChanged
	}
	return ctx, nil
}

// authoritiesIn returns the authorities by which the writes of the transaction of ctx have
// handed something out.
func authoritiesIn(ctx context.Context) []*access.Authority {
	authorities, _ := changes.WrittenIn(ctx).Grounds.([]*access.Authority)
	return authorities
}

// parties returns the ids of all for whom the actor of ctx acts.
func parties(ctx context.Context) []string {
	actor := access.ActorOf(ctx)
	if actor == nil || actor.System != "" {
		return nil
	}
	var all []string
	if actor.Key != nil {
		all = append(all, actor.String())
	}
	if actor.User != nil {
		all = append(all, actor.User.String())
	}
	if actor.Organization != nil {
		all = append(all, actor.Organization.String())
	}
	return all
}
