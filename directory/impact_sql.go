package directory

import (
	"context"
	"strings"

	"roster/access"
	"roster/db"
	"roster/db/list"
)

// holding is what was granted to a member before and after a write, as far as it
// has a bearing on the time from the write on, and whether that counts. Many
// members have the same.
type holding struct {
	// Before and After are the ids of roles and permissions whose grants have begun
	// and have no end, as the text of uuid[].
	Before, After string
	// Terms are the other grants: the id, whether there was one before and is one
	// after, when it begins if that is later, and when it ended before and ends now,
	// in microseconds since 1970, or 0.
	Terms                     string
	ActiveBefore, ActiveAfter bool
}

// memberHolding is the holding of one member.
type memberHolding struct {
	OrgID   db.OrganizationID
	UserID  db.UserID
	holding `bun:",extend"`
}

// countedHolding is one that N members have.
type countedHolding struct {
	holding `bun:",extend"`
	N       int
}

func (h *memberHolding) place() access.MemberKey {
	return access.MemberKey{User: h.UserID, Organization: h.OrgID}
}

// membersFrom gives the holdings of up to so many members from that place on, in
// order.
func (c *comparison) membersFrom(ctx context.Context, from access.MemberKey, limit int) ([]memberHolding, error) {
	members := c.members()
	members.Text += " having (org_id, user_id) >= (?, ?) order by org_id, user_id limit ?"
	members.Args = append(members.Args, from.Organization, from.User, limit)
	q := c.holdings(members)
	q.Add(" select * from x order by org_id, user_id")
	return list.Select[memberHolding](ctx, c.d.db, q)
}

// membersHolding is membersFrom for members with one of those holdings.
func (c *comparison) membersHolding(ctx context.Context, holdings []holding, from access.MemberKey, limit int) ([]memberHolding, error) {
	before, after, terms := make([]string, len(holdings)), make([]string, len(holdings)), make([]string, len(holdings))
	activeBefore, activeAfter := make([]bool, len(holdings)), make([]bool, len(holdings))
	for i, h := range holdings {
		before[i], after[i], terms[i], activeBefore[i], activeAfter[i] = h.Before, h.After, h.Terms, h.ActiveBefore, h.ActiveAfter
	}
	q := c.holdings(c.members())
	q.Add(` select * from x where (org_id, user_id) >= (?, ?) and (before, after, terms, active_before, active_after) in
		(select * from unnest(?::text[], ?::text[], ?::text[], ?::bool[], ?::bool[])) order by org_id, user_id limit ?`,
		from.Organization, from.User, before, after, terms, activeBefore, activeAfter, limit)
	return list.Select[memberHolding](ctx, c.d.db, q)
}

// countHoldings gives the holdings that there are.
func (c *comparison) countHoldings(ctx context.Context) ([]countedHolding, error) {
	q := c.holdings(c.members())
	q.Add(" select before, after, terms, active_before, active_after, count(*) as n from x group by 1, 2, 3, 4, 5")
	return list.Select[countedHolding](ctx, c.d.db, q)
}

// holdings begins a statement over the holdings x of the members. The moment of
// the write is its first argument. Nothing that has no index is joined to the
// members, since the planner does not know how many have just lost something.
func (c *comparison) holdings(members list.Clause) *list.Statement {
	q := list.NewStatement("impact", c.at).Add("with m as materialized (").Append(members).
		Add("), g as (select org_id, user_id, null::uuid as thing, false as had, false as has," +
			" null::timestamptz as start, null::timestamptz as former_end, null::timestamptz as ending from m")
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		q.Add(" union all select g.org_id, g.user_id, g." + kind.column + ", g.granted_at <> $1, g.live, " + termColumns + " from m join " + kind.table +
			" g using (org_id, user_id)").Where(c.granted(kind)...)
	}
	// Whoever is among the concerned users and organizations had the other status.
	return q.Add(`), h as (
			select org_id, user_id, org_id not in (select id from organizations where status = 'SUSPENDED') as active,
				coalesce(array_agg(distinct thing) filter (where had and `+lastingGrant+`)::text, '{}') as before,
				coalesce(array_agg(distinct thing) filter (where has and `+lastingGrant+`)::text, '{}') as after,
				coalesce(string_agg(distinct `+termText+`, ',') filter (where not (`+lastingGrant+`)), '') as terms
			from g group by org_id, user_id
		), x as (
			select h.org_id, h.user_id, h.before, h.after, h.terms, h.active and u.status = 'ACTIVE' as active_after,
				(u.status = 'ACTIVE') <> (u.id = any(?::uuid[])) and h.active <> (h.org_id = any(?::uuid[])) as active_before
			from h join users u on u.id = h.user_id)`, c.users, c.organizations)
}

// The term of a grant g, as far as it lies behind the moment of the write. How a
// write changes it, and leaves in the row what was before, db.Grant says.
const (
	termColumns  = "case when g.starts_at > $1 then g.starts_at end, case when g.shortened_at = $1 then g.former_end else g.ends_at end, g.ends_at"
	lastingGrant = "coalesce(start, former_end, ending) is null"
	termText     = `concat_ws(' ', thing, had::int, has::int, coalesce((extract(epoch from start) * 1000000)::bigint, 0),
		coalesce((extract(epoch from former_end) * 1000000)::bigint, 0), coalesce((extract(epoch from ending) * 1000000)::bigint, 0))`
)

// granted chooses the grants that were there before or after the write.
func (c *comparison) granted(kind grantKind) []list.Clause {
	conditions := []list.Clause{list.Where("g.live or " + access.RevokedAtSQL), list.Where("g.ends_at is null or g.ends_at > $1")}
	only, limited := c.only[kind]
	switch {
	case limited && len(c.deletedRoles) > 0:
		// No index for this: the planner, who takes them for few, would look for each
		// thing at each member.
		conditions = append(conditions, list.Where("(g."+kind.column+" = any(?::uuid[])) is true", only))
	case limited:
		conditions = append(conditions, list.Where("g."+kind.column+" = any(?::uuid[])", only))
	}
	return conditions
}

// members selects the members whom the write concerns, each once. Who has left
// is among them: by the place, or by what was taken from them.
func (c *concern) members() list.Clause {
	var arms []string
	var args []any
	arm := func(concerned int, text string, values ...any) {
		if concerned > 0 {
			arms, args = append(arms, "select org_id, user_id from "+text), append(args, values...)
		}
	}
	users, orgs := split(c.places)
	arm(len(c.places), "unnest(?::uuid[], ?::uuid[]) p (org_id, user_id)", orgs, users)
	arm(len(c.users), "memberships where user_id = any(?::uuid[])", c.users)
	arm(len(c.organizations), "memberships where org_id = any(?::uuid[])", c.organizations)
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		arm(len(c.crowds), kind.table+" g where org_id = any(?::uuid[]) and (granted_at = $1 or "+access.RevokedAtSQL+")", c.crowds)
	}
	arm(len(c.roles), "membership_roles where role_id = any(?::uuid[]) and live", c.roles)
	arm(len(c.renamedPermissions), "membership_permissions where permission_id = any(?::uuid[]) and live", c.renamedPermissions)
	arm(len(c.deletedRoles), "membership_roles g where role_id = any(?::uuid[]) and revoked_at >= $1 and "+access.RevokedAtSQL, c.deletedRoles)
	arm(len(c.deletedPermissions), "membership_permissions g where permission_id = any(?::uuid[]) and revoked_at >= $1 and "+access.RevokedAtSQL, c.deletedPermissions)
	return list.Where("select org_id, user_id from ("+strings.Join(arms, " union all ")+") m group by org_id, user_id", args...)
}
