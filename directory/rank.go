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

// person is a user upon whom somebody acts: in the organization or, if at is nil, on the
// user as a whole.
type person struct {
	user db.UserID
	at   *db.OrganizationID
}

// outrank adds the fault FORBIDDEN at field unless the actor may act on the user: in
// the organization or, if at is nil, on the user as a whole. Actors may act on
// themselves.
func (d *Directory) outrank(ctx context.Context, w *write, user db.UserID, at *db.OrganizationID, field string) error {
	lacking, err := d.lacking(ctx, w.actor, []person{{user, at}})
	if err == nil {
		w.mustOutrank(lacking[0], field)
	}
	return err
}

// outrankMembers is outrank for the members of an organization whom a list of the
// input names, in its order. Some may be nil.
func (d *Directory) outrankMembers(ctx context.Context, w *write, members []*db.Membership, field string) error {
	var people []person
	var fields []string
	for i, m := range members {
		if m != nil {
			people, fields = append(people, person{m.UserID, &m.OrgID}), append(fields, element(field, i, len(members)))
		}
	}
	lacking, err := d.lacking(ctx, w.actor, people)
	for i := range lacking {
		w.mustOutrank(lacking[i], fields[i])
	}
	return err
}

// outrankKey is outrank for the users for whom a key, which may be nil, and the keys
// that descend from it stand: these end with it, and come with it to those who adopt it.
func (d *Directory) outrankKey(ctx context.Context, w *write, key *db.APIKey, field string) error {
	if key == nil {
		return nil
	}
	keys, err := db.Select[db.APIKey](ctx, d.db, `with recursive down as (select id, user_id, org_id from api_keys where id = $1
		union select k.id, k.user_id, k.org_id from down join api_keys k on k.responsible_id = down.id and k.revoked_at is null)
		select distinct user_id, org_id from down where user_id is not null order by user_id, org_id`, key.ID)
	if err != nil {
		return err
	}
	people := make([]person, len(keys))
	for i := range keys {
		people[i] = person{*keys[i].UserID, keys[i].OrgID}
	}
	lacking, err := d.lacking(ctx, w.actor, people)
	if refused := slices.IndexFunc(lacking, func(missing []string) bool { return len(missing) > 0 }); refused >= 0 {
		w.mustOutrank(lacking[refused], field) // one of the users is enough to refuse it
	}
	return err
}

// mustOutrank adds the fault of a user who holds what the actor is lacking. An actor
// of one organization does not learn what it is: the user may hold it elsewhere.
func (w *write) mustOutrank(lacking []string, field string) {
	const sentence = "You must hold every permission of Roster that the user holds"
	switch {
	case len(lacking) == 0:
	case w.actor.Organization != nil && len(w.actor.Business) == 0:
		w.faults.Add(problem.Forbidden, field, sentence+".")
	default:
		w.faults.Add(problem.Forbidden, field, sentence+". You lack %s.", enumerate(lacking))
	}
}

// rankText selects the permissions of Roster itself that users $1 hold or will hold by
// grants, whether or not somebody is suspended: in the organizations $2, together with
// what they hold for the business as a whole, or in all. A role counts with what it
// contains now.
const rankText = `select distinct asked.n, p.key from unnest($1::uuid[], $2::uuid[]) with ordinality asked (user_id, org_id, n)
	join memberships m on m.user_id = asked.user_id and (asked.org_id is null or m.org_id in (asked.org_id, $3))
	cross join lateral (
		select rp.permission_id, g.ends_at from membership_roles g join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null
			where g.org_id = m.org_id and g.user_id = m.user_id and g.live
		union all
		select g.permission_id, g.ends_at from membership_permissions g where g.org_id = m.org_id and g.user_id = m.user_id and g.live) held
	join permissions p on p.id = held.permission_id and p.is_system
	where held.ends_at is null or held.ends_at > statement_timestamp()
	order by p.key`

// lacking returns, for each of the people but the actor, the permissions of Roster itself
// that they hold and the actor does not. Writes of grants lock the users whom they
// concern: a write that must not act on what is granted meanwhile has locked them too.
func (d *Directory) lacking(ctx context.Context, actor *access.Actor, people []person) ([][]string, error) {
	if len(people) == 0 {
		return nil, nil
	}
	users, orgs := make([]db.UserID, len(people)), make([]*db.OrganizationID, len(people))
	for i, p := range people {
		users[i], orgs[i] = p.user, p.at
	}
	rows, err := db.Select[struct {
		N   int
		Key access.Permission
	}](ctx, d.db, rankText, users, orgs, db.Root)
	if err != nil {
		return nil, err
	}
	lacking := make([][]string, len(people))
	for _, row := range rows {
		i := row.N - 1
		holds := actor.HoldsEverywhere(row.Key)
		if at := people[i].at; at != nil {
			holds = actor.Holds(row.Key, *at)
		}
		if !holds && !actor.Is(people[i].user) {
			lacking[i] = append(lacking[i], string(row.Key))
		}
	}
	return lacking, nil
}

// Ranks reports whether the user holds, or will hold, a permission of Roster itself anywhere.
func (d *Directory) Ranks(ctx context.Context, user db.UserID) (bool, error) {
	held, err := d.lacking(ctx, &access.Actor{}, []person{{user: user}})
	return err == nil && len(held[0]) > 0, err
}

// party is a user or an API key, by its id in text form, that a write is going to end.
type party struct {
	id string
	// stands is the user, or for whom the key stands, if anybody.
	stands *person
}

// userParty returns the party that is the user.
func userParty(id db.UserID) party { return party{id.String(), &person{user: id}} }

// keyParty returns the party that is the API key.
func keyParty(key *db.APIKey) party {
	if key.UserID == nil {
		return party{id: (&access.Actor{Key: key}).String()}
	}
	return party{key.ID.String(), &person{*key.UserID, key.OrgID}}
}

// interrupt ends what the server is doing for users and API keys, because the transaction
// of ctx is going to end them. It leaves those alone on whose users the actor must not
// act: the write is going to say so, and interrupting would let anybody keep those who
// rank higher from their work.
func (d *Directory) interrupt(ctx context.Context, parties ...party) error {
	var people []person
	for _, p := range parties {
		if p.stands != nil {
			people = append(people, *p.stands)
		}
	}
	lacking, err := d.lacking(ctx, access.ActorOf(ctx), people)
	if err != nil {
		return err
	}
	for _, p := range parties {
		if p.stands != nil {
			missing := lacking[0]
			if lacking = lacking[1:]; len(missing) > 0 {
				continue
			}
		}
		d.Writer.Ends(ctx, p.id)
	}
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
