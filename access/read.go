package access

import (
	"context"
	"time"

	"roster/changes"
	"roster/db"
)

// ActiveSQL is the condition that a grant g counts now. No other SQL decides that.
const ActiveSQL = `g.live and ` + InTermSQL

// InTermSQL is the condition that the term of a grant g has begun and not ended. It
// compares with the time of the statement, not of its transaction, so that a mutation
// document sees its own grants.
const InTermSQL = `g.starts_at <= statement_timestamp() and (g.ends_at is null or g.ends_at > statement_timestamp())`

// entitlementsRow is what the database has on a member.
type entitlementsRow struct {
	Member, UserSuspended, MemberSuspended, OrganizationSuspended bool
	Roles                                                         db.IDs[db.RoleKind]
	Permissions                                                   db.IDs[db.PermissionKind]
	// Boundary is the number of seconds until the next grant begins or ends.
	Boundary *float64
	// Seen is the snapshot of the statement. Pending reports whether it includes changes
	// of roles or permissions that the feed has not delivered yet.
	Seen    string
	Pending bool
	// Effective holds the keys of all permissions that the grants amount to, and the
	// former keys of those, in order.
	Effective []string `bun:",array"`
}

// membersSQL is the part of a statement that reads the members p.
const membersSQL = `
from unnest($1::uuid[], $2::uuid[]) with ordinality as p (user_id, org_id, n)
left join memberships m on m.org_id = p.org_id and m.user_id = p.user_id
left join users u on u.id = m.user_id
left join organizations o on o.id = m.org_id`

const statusSQL = `m.id is not null as member,
	coalesce(u.status = 'SUSPENDED', false) as user_suspended,
	coalesce(m.status = 'SUSPENDED', false) as member_suspended,
	coalesce(o.status = 'SUSPENDED', false) as organization_suspended`

// entitlementsSQL reads the grants of members, and the moment at which they will be out
// of date. The filter finds the grants that have begun; others only set the boundary.
// A database that is behind the feed has lost changes which the feed has delivered.
const entitlementsSQL = `
select ` + statusSQL + `, r.ids as roles, d.ids as permissions, least(r.boundary, d.boundary) as boundary,
	pg_current_snapshot()::text as seen,
	(select pg_snapshot_xmax($3::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) or exists (select from (select running, running from pg_snapshot_xip($3::pg_snapshot) as running
			union all select pg_snapshot_xmax($3::pg_snapshot), pg_snapshot_xmax(pg_current_snapshot())) as unseen (first, last)
		join changes c on c.xid >= first and c.xid <= last where left(c.subject, 5) in ('role_', 'perm_'))) as pending` +
	membersSQL + `
cross join lateral (select array_agg(g.role_id) filter (where g.starts_at <= statement_timestamp()) as ids, ` + boundarySQL + `
	from membership_roles g where g.org_id = p.org_id and g.user_id = p.user_id and ` + notEndedSQL + `) r
cross join lateral (select array_agg(g.permission_id) filter (where g.starts_at <= statement_timestamp()) as ids, ` + boundarySQL + `
	from membership_permissions g where g.org_id = p.org_id and g.user_id = p.user_id and ` + notEndedSQL + `) d
order by p.n`

const (
	notEndedSQL = `g.live and (g.ends_at is null or g.ends_at > statement_timestamp())`
	boundarySQL = `extract(epoch from min(case when g.starts_at > statement_timestamp() then g.starts_at else g.ends_at end)
		- statement_timestamp())::float8 as boundary`
)

// effectiveSQL works out the effective permissions of members in one snapshot, without
// a catalogue.
const effectiveSQL = `
select ` + statusSQL + `,
	array(select g.role_id from membership_roles g where g.org_id = p.org_id and g.user_id = p.user_id and ` + ActiveSQL + `) as roles,
	array(select q.key from permission_keys q where q.deleted_at is null and q.id in (
		select rp.permission_id from membership_roles g join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null
			where g.org_id = p.org_id and g.user_id = p.user_id and ` + ActiveSQL + `
		union select g.permission_id from membership_permissions g
			where g.org_id = p.org_id and g.user_id = p.user_id and ` + ActiveSQL + `) order by q.key) as effective` +
	membersSQL + `
order by p.n`

// SplitKeys returns the users and the organizations of the members, as arrays for a
// statement.
func SplitKeys(members []MemberKey) ([]db.UserID, []db.OrganizationID) {
	users, organizations := make([]db.UserID, len(members)), make([]db.OrganizationID, len(members))
	for i, m := range members {
		users[i], organizations[i] = m.User, m.Organization
	}
	return users, organizations
}

// readExact reads the entitlements of the members as the database works them out, in
// the transaction of ctx if there is one.
func (e *Engine) readExact(ctx context.Context, members []MemberKey) ([]*Entitlements, error) {
	users, organizations := SplitKeys(members)
	rows, err := db.Select[entitlementsRow](ctx, e.db, effectiveSQL, users, organizations)
	if err != nil {
		return nil, err
	}
	all := make([]*Entitlements, len(rows))
	for i := range rows {
		all[i] = e.newEntry(&rows[i])
		all[i].exact = append([]string{}, rows[i].Effective...) // never nil
	}
	return all, nil
}

// longestTerm is how long an entry with a time limit counts at most, because the clocks
// of two machines drift apart, by some ms a minute.
const longestTerm = time.Minute

// readLive reads the entitlements of the members for the cache, and returns the
// snapshot that it saw. If they do not fit the catalogue at position, it returns only
// the snapshot, which the feed has to reach first.
func (e *Engine) readLive(ctx context.Context, members []MemberKey, position changes.Revision) (all []*Entitlements, seen changes.Revision, err error) {
	users, organizations := SplitKeys(members)
	now := e.now() // read before the database
	rows, err := db.Select[entitlementsRow](ctx, e.db, entitlementsSQL, users, organizations, position.Snapshot())
	if err != nil {
		return nil, seen, err
	}
	if seen, err = changes.ParseRevision(rows[0].Seen); err != nil {
		return nil, seen, err
	}
	all = make([]*Entitlements, len(rows))
	for i := range rows {
		row := &rows[i]
		if row.Pending && !e.without.pending {
			return nil, seen, nil
		}
		entry := e.newEntry(row)
		if row.Boundary != nil {
			entry.until = now + time.Duration(min(*row.Boundary, longestTerm.Seconds())*float64(time.Second))
		}
		all[i] = entry
	}
	return all, seen, nil
}

// newEntry returns the entitlements of a member as a row says.
func (e *Engine) newEntry(row *entitlementsRow) *Entitlements {
	entry := e.NewEntitlements(row.Roles, row.Permissions)
	entry.status = 0
	for _, flag := range []struct {
		is     bool
		status status
	}{{row.Member, isMember}, {row.UserSuspended, userSuspended}, {row.MemberSuspended, memberSuspended}, {row.OrganizationSuspended, organizationSuspended}} {
		if flag.is {
			entry.status |= flag.status
		}
	}
	return entry
}
