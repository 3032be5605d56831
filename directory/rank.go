package directory

import (
	"context"
	"slices"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// Whoever acts on a person must rank at least as high: the actor must hold every
// permission of Roster itself that the person holds (decisions/0012). Otherwise
// somebody who writes users could take over, or shut out, those who administer them.

// outrank adds the fault FORBIDDEN at field unless the actor may act on the user: in
// the organization or, if at is nil, on the user as a whole. Actors may act on
// themselves.
func (d *Directory) outrank(ctx context.Context, w *write, user db.UserID, at *db.OrganizationID, field string) error {
	lacking, err := d.lacking(ctx, w.actor, []db.UserID{user}, at)
	if err == nil {
		w.mustOutrank(lacking, user, field)
	}
	return err
}

// outrankMembers is outrank for the members of the organization whom a list of the
// input names, in its order. Some may be nil.
func (d *Directory) outrankMembers(ctx context.Context, w *write, members []*db.Membership, field string) error {
	known := distinctNonNil(members)
	if len(known) == 0 {
		return nil
	}
	users := make([]db.UserID, len(known))
	for i, m := range known {
		users[i] = m.UserID
	}
	lacking, err := d.lacking(ctx, w.actor, users, &known[0].OrgID)
	if err != nil {
		return err
	}
	for i, m := range members {
		if m != nil {
			w.mustOutrank(lacking, m.UserID, element(field, i, len(members)))
		}
	}
	return nil
}

// outrankKey is outrank for the users for whom a key, which may be nil, and the keys
// that descend from it stand: these end with it, and come with it to those who adopt it.
func (d *Directory) outrankKey(ctx context.Context, w *write, key *db.APIKey) error {
	if key == nil {
		return nil
	}
	keys, err := db.Select[db.APIKey](ctx, d.db, `with recursive down as (select id, user_id, org_id from api_keys where id = $1
		union select k.id, k.user_id, k.org_id from down join api_keys k on k.responsible_id = down.id and k.revoked_at is null)
		select distinct user_id, org_id from down where user_id is not null order by user_id, org_id`, key.ID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		const field = "input.apiKey"
		if w.faults.about(field) {
			break // one of the users is enough to refuse it
		}
		if err := d.outrank(ctx, w, *k.UserID, k.OrgID, field); err != nil {
			return err
		}
	}
	return nil
}

// mustOutrank adds the fault of a user who holds what the actor is lacking. An actor
// of one organization does not learn what it is: the user may hold it elsewhere.
func (w *write) mustOutrank(lacking map[db.UserID][]string, user db.UserID, field string) {
	const sentence = "You must hold every permission of Roster that the user holds"
	switch missing := lacking[user]; {
	case len(missing) == 0:
	case w.actor.Organization != nil && len(w.actor.Business) == 0:
		w.faults.Add(problem.Forbidden, field, sentence+".")
	default:
		w.faults.Add(problem.Forbidden, field, sentence+". You lack %s.", enumerate(missing))
	}
}

// rankText selects the permissions of Roster itself that users hold or will hold by
// grants, whether or not somebody is suspended: in one organization, together with
// what they hold for the business as a whole, or in all. A role counts with what it
// contains now.
const rankText = `select distinct m.user_id, p.key from memberships m
	cross join lateral (
		select rp.permission_id, g.ends_at from membership_roles g join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null
			where g.org_id = m.org_id and g.user_id = m.user_id and g.live
		union all
		select g.permission_id, g.ends_at from membership_permissions g where g.org_id = m.org_id and g.user_id = m.user_id and g.live) held
	join permissions p on p.id = held.permission_id and p.is_system
	where m.user_id = any($1) and ($2::uuid is null or m.org_id in ($2, $3)) and (held.ends_at is null or held.ends_at > statement_timestamp())
	order by p.key`

// lacking returns, for each of the users but the actor's own, the permissions of
// Roster itself that they hold and the actor does not: in the organization or, if at
// is nil, anywhere. Writes of grants lock the users whom they concern: a write that
// must not act on what is granted meanwhile has locked them too.
func (d *Directory) lacking(ctx context.Context, actor *access.Actor, users []db.UserID, at *db.OrganizationID) (map[db.UserID][]string, error) {
	rows, err := db.Select[struct {
		UserID db.UserID
		Key    access.Permission
	}](ctx, d.db, rankText, users, at, db.Root)
	if err != nil {
		return nil, err
	}
	lacking := map[db.UserID][]string{}
	for _, row := range rows {
		holds := actor.HoldsEverywhere(row.Key)
		if at != nil {
			holds = actor.Holds(row.Key, *at)
		}
		if !holds && !actor.Is(row.UserID) {
			lacking[row.UserID] = append(lacking[row.UserID], string(row.Key))
		}
	}
	return lacking, nil
}

// interrupt ends what the server is doing for a user or an API key, because the
// transaction of ctx is going to end it. It does nothing if the actor must not act on the
// user there: the write is going to say so, and interrupting would let anybody keep those
// who rank higher from their work.
func (d *Directory) interrupt(ctx context.Context, party string, user *db.UserID, at *db.OrganizationID) error {
	if user != nil {
		lacking, err := d.lacking(ctx, access.ActorOf(ctx), []db.UserID{*user}, at)
		if err != nil || len(lacking) > 0 {
			return err
		}
	}
	d.Writer.Ends(ctx, party)
	return nil
}

// mayTakeAway adds the fault FORBIDDEN at field if there are permissions of Roster
// itself among these, which the actor takes out of a role, that the actor does not
// hold: roles are the same everywhere, and so those who lose something may rank
// higher.
func (w *write) mayTakeAway(permissions []*db.Permission, field string) {
	var missing []string
	for _, p := range permissions {
		if p.IsSystem && !w.actor.HoldsEverywhere(access.Permission(p.Key)) {
			missing = append(missing, p.Key)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		w.faults.Add(problem.Forbidden, field, "You cannot take away permissions of Roster that you do not hold: %s.", enumerate(missing))
	}
}

// isSystem reports whether a permission is one of Roster itself.
func isSystem(p *db.Permission) bool { return p.IsSystem }
