package impact

import (
	"context"
	"strings"

	"roster/access"
	"roster/db"
	"roster/db/list"
)

// grantSet is what was granted to a member before and after a write, as far as it
// matters from the write on, and whether the member was and is active. Many members
// have the same set.
type grantSet struct {
	// Before and After are the ids of roles and permissions whose grants have begun
	// and have no end, as the text of uuid[].
	Before, After string
	// Terms are the other grants: the id, whether it was granted before and is granted
	// after, when it begins if that is later, and when it ended before and ends now,
	// in microseconds since 1970, or 0.
	Terms                     string
	ActiveBefore, ActiveAfter bool
}

// memberGrantSet is the set of one member.
type memberGrantSet struct {
	OrgID    db.OrganizationID
	UserID   db.UserID
	grantSet `bun:",extend"`
}

func (s *memberGrantSet) key() access.MemberKey {
	return access.MemberKey{User: s.UserID, Organization: s.OrgID}
}

// countedGrantSet is a set that N members have.
type countedGrantSet struct {
	grantSet `bun:",extend"`
	N        int
}

// membersFrom returns the sets of at most limit members from that one on, in order.
func (c *comparator) membersFrom(ctx context.Context, from access.MemberKey, limit int) ([]memberGrantSet, error) {
	members := c.membersSQL()
	members.Text += " having (org_id, user_id) >= (?, ?) order by org_id, user_id limit ?"
	members.Args = append(members.Args, from.Organization, from.User, limit)
	q := c.grantSets(members)
	q.Add(" select * from x order by org_id, user_id")
	return list.Select[memberGrantSet](ctx, c.db, q)
}

// membersWith is membersFrom for members with one of the sets.
func (c *comparator) membersWith(ctx context.Context, sets []grantSet, from access.MemberKey, limit int) ([]memberGrantSet, error) {
	before, after, terms := make([]string, len(sets)), make([]string, len(sets)), make([]string, len(sets))
	activeBefore, activeAfter := make([]bool, len(sets)), make([]bool, len(sets))
	for i, s := range sets {
		before[i], after[i], terms[i], activeBefore[i], activeAfter[i] = s.Before, s.After, s.Terms, s.ActiveBefore, s.ActiveAfter
	}
	q := c.grantSets(c.membersSQL())
	q.Add(` select * from x where (org_id, user_id) >= (?, ?) and (before, after, terms, active_before, active_after) in
		(select * from unnest(?::text[], ?::text[], ?::text[], ?::bool[], ?::bool[])) order by org_id, user_id limit ?`,
		from.Organization, from.User, before, after, terms, activeBefore, activeAfter, limit)
	return list.Select[memberGrantSet](ctx, c.db, q)
}

// countGrantSets returns the different sets, each with the number of its members.
func (c *comparator) countGrantSets(ctx context.Context) ([]countedGrantSet, error) {
	q := c.grantSets(c.membersSQL())
	q.Add(" select before, after, terms, active_before, active_after, count(*) as n from x group by 1, 2, 3, 4, 5")
	return list.Select[countedGrantSet](ctx, c.db, q)
}

// grantSets begins a statement over the sets x of the members. The moment of the
// write is its first argument. It joins to the members only what has an index, since
// the planner does not know how many have just lost something.
func (c *comparator) grantSets(members list.Clause) *list.Statement {
	q := list.NewStatement("impact", c.At).Add("with m as materialized (").Append(members).
		Add("), g as (select org_id, user_id, null::uuid as target_id, false as had, false as has," +
			" null::timestamptz as start, null::timestamptz as former_end, null::timestamptz as ending from m")
	for _, table := range []db.GrantTable{db.RoleGrants, db.PermissionGrants} {
		q.Add(" union all select g.org_id, g.user_id, g." + table.Column + ", g.granted_at <> $1, g.live, " + termColumns + " from m join " + table.Name +
			" g using (org_id, user_id)").Where(c.granted(table)...)
	}
	nowUsers, nowOrgs := access.SplitKeys(c.Suspended)
	formerUsers, formerOrgs := access.SplitKeys(c.FormerlySuspended)
	// The users and organizations that the write concerns had the other status.
	return q.Add(`), h as (
			select org_id, user_id, org_id not in (select id from organizations where status = 'SUSPENDED') as active,
				(org_id, user_id) not in (select org_id, user_id from memberships where status = 'SUSPENDED') as stands,
				coalesce(array_agg(distinct target_id) filter (where had and `+lastingGrant+`)::text, '{}') as before,
				coalesce(array_agg(distinct target_id) filter (where has and `+lastingGrant+`)::text, '{}') as after,
				coalesce(string_agg(distinct `+termText+`, ',') filter (where not (`+lastingGrant+`)), '') as terms
			from g group by org_id, user_id
		), x as (
			select h.org_id, h.user_id, h.before, h.after, h.terms, h.active and h.stands and u.status = 'ACTIVE' as active_after,
				(u.status = 'ACTIVE') <> (u.id = any(?::uuid[])) and h.active <> (h.org_id = any(?::uuid[]))
					and (h.stands or (h.org_id, h.user_id) in (select * from unnest(?::uuid[], ?::uuid[])))
					and (h.org_id, h.user_id) not in (select * from unnest(?::uuid[], ?::uuid[])) as active_before
			from h join users u on u.id = h.user_id)`, c.Users, c.Organizations, nowOrgs, nowUsers, formerOrgs, formerUsers)
}

// The term of a grant g, as far as it lies behind the moment of the write; db.Grant
// says how the row shows the term before the write.
const (
	termColumns  = "case when g.starts_at > $1 then g.starts_at end, case when g.shortened_at = $1 then g.former_end else g.ends_at end, g.ends_at"
	lastingGrant = "coalesce(start, former_end, ending) is null"
	termText     = `concat_ws(' ', target_id, had::int, has::int, coalesce((extract(epoch from start) * 1000000)::bigint, 0),
		coalesce((extract(epoch from former_end) * 1000000)::bigint, 0), coalesce((extract(epoch from ending) * 1000000)::bigint, 0))`
)

// granted selects the grants that were live before or after the write.
func (c *comparator) granted(table db.GrantTable) []list.Clause {
	conditions := []list.Clause{list.Where("g.live or " + access.RevokedAtSQL), list.Where("g.ends_at is null or g.ends_at > $1")}
	only, limited := c.only[table]
	switch {
	case limited && len(c.deletedRoles) > 0:
		// This keeps the index out: the planner, who takes the targets for few, would
		// look for each of them at each member.
		conditions = append(conditions, list.Where("(g."+table.Column+" = any(?::uuid[])) is true", only))
	case limited:
		conditions = append(conditions, list.Where("g."+table.Column+" = any(?::uuid[])", only))
	}
	return conditions
}

// membersSQL selects the members whom the write concerns, each once; also members
// who have left, by their key or by the grants that were taken from them.
func (c *Concern) membersSQL() list.Clause {
	var arms []string
	var args []any
	arm := func(concerned int, text string, values ...any) {
		if concerned > 0 {
			arms, args = append(arms, "select org_id, user_id from "+text), append(args, values...)
		}
	}
	users, orgs := access.SplitKeys(c.members)
	arm(len(c.members), "unnest(?::uuid[], ?::uuid[]) p (org_id, user_id)", orgs, users)
	arm(len(c.Users), "memberships where user_id = any(?::uuid[])", c.Users)
	arm(len(c.Organizations), "memberships where org_id = any(?::uuid[])", c.Organizations)
	for _, table := range []db.GrantTable{db.RoleGrants, db.PermissionGrants} {
		arm(len(c.crowds), table.Name+" g where org_id = any(?::uuid[]) and (granted_at = $1 or "+access.RevokedAtSQL+")", c.crowds)
	}
	arm(len(c.roles), "membership_roles where role_id = any(?::uuid[]) and live", c.roles)
	arm(len(c.renamedPermissions), "membership_permissions where permission_id = any(?::uuid[]) and live", c.renamedPermissions)
	arm(len(c.deletedRoles), "membership_roles g where role_id = any(?::uuid[]) and revoked_at >= $1 and "+access.RevokedAtSQL, c.deletedRoles)
	arm(len(c.deletedPermissions), "membership_permissions g where permission_id = any(?::uuid[]) and revoked_at >= $1 and "+access.RevokedAtSQL, c.deletedPermissions)
	return list.Where("select org_id, user_id from ("+strings.Join(arms, " union all ")+") m group by org_id, user_id", args...)
}
