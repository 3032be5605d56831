package access

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"roster/changes"
	"roster/db"
)

// MemberKey is one user in one organization.
type MemberKey struct {
	User         db.UserID
	Organization db.OrganizationID
}

// Entitlements is what is held at a place: by grants that have begun and not ended. It
// is read with the catalogue that it came with.
type Entitlements struct {
	place  MemberKey
	status status
	// numbers are those of the roles and, from direct on, of the permissions
	// granted on top of them: each once, and sorted.
	numbers []uint32
	direct  int
	// exact, unless nil, are the keys of what all this comes to, former ones among
	// them: the database has worked it out.
	exact []string
	// epoch is that of the engine before the database was read, and until the
	// moment, in time of the engine, at which the next grant begins or ends.
	epoch uint64
	until time.Duration
}

type status uint8

const (
	isMember status = 1 << iota
	userSuspended
	organizationSuspended
)

// Member tells whether there is a membership at the place.
func (h *Entitlements) Member() bool { return h.status&isMember != 0 }

// UserSuspended tells whether the user, being a member, is suspended.
func (h *Entitlements) UserSuspended() bool { return h.status&userSuspended != 0 }

// OrganizationSuspended tells whether the organization of the member is
// suspended.
func (h *Entitlements) OrganizationSuspended() bool { return h.status&organizationSuspended != 0 }

// mayAct tells whether grants count at all: those of a suspended user, and those
// in a suspended organization, do not.
func (h *Entitlements) mayAct() bool { return h.status == isMember }

// Holds says that a grant g holds now; it is the one place where SQL says so.
const ActiveSQL = `g.live and ` + InTermSQL

// InTermSQL says that the term for which a grant g was given has begun and not
// ended. The time is that of the statement, not of its transaction, so that a
// mutation document sees what it has granted itself.
const InTermSQL = `g.starts_at <= statement_timestamp() and (g.ends_at is null or g.ends_at > statement_timestamp())`

// entitlementsRow is what the database knows of a place.
type entitlementsRow struct {
	Member, UserSuspended, OrganizationSuspended bool
	Roles                                        db.IDs[db.RoleKind]
	Permissions                                  db.IDs[db.PermissionKind]
	// Boundary is in how many seconds the next grant begins or ends.
	Boundary *float64
	// Seen is the snapshot of the statement, and Pending tells whether it has
	// changes of roles or permissions which the feed had not brought yet.
	Seen    string
	Pending bool
	// Effective are the keys of what all grants come to, former ones among them, in
	// order.
	Effective []string `bun:",array"`
}

// ofPlaces is the part of a statement which finds the members at places p.
const ofPlaces = `
from unnest($1::uuid[], $2::uuid[]) with ordinality as p (user_id, org_id, n)
left join memberships m on m.org_id = p.org_id and m.user_id = p.user_id
left join users u on u.id = m.user_id
left join organizations o on o.id = m.org_id`

const statusColumns = `m.id is not null as member,
	coalesce(u.status = 'SUSPENDED', false) as user_suspended,
	coalesce(o.status = 'SUSPENDED', false) as organization_suspended`

// liveText reads grants, and when that will be out of date. What has begun is
// told by the filter; live grants that will begin only set the boundary.
// A database which is behind the feed has lost what the feed has told.
const liveText = `
select ` + statusColumns + `, r.ids as roles, d.ids as permissions, least(r.boundary, d.boundary) as boundary,
	pg_current_snapshot()::text as seen,
	(select pg_snapshot_xmax($3::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) or exists (select from (select running, running from pg_snapshot_xip($3::pg_snapshot) as running
			union all select pg_snapshot_xmax($3::pg_snapshot), pg_snapshot_xmax(pg_current_snapshot())) as unseen (first, last)
		join changes c on c.xid >= first and c.xid <= last where left(c.subject, 5) in ('role_', 'perm_'))) as pending` +
	ofPlaces + `
cross join lateral (select array_agg(g.role_id) filter (where g.starts_at <= statement_timestamp()) as ids, ` + boundary + `
	from membership_roles g where g.org_id = p.org_id and g.user_id = p.user_id and ` + notEnded + `) r
cross join lateral (select array_agg(g.permission_id) filter (where g.starts_at <= statement_timestamp()) as ids, ` + boundary + `
	from membership_permissions g where g.org_id = p.org_id and g.user_id = p.user_id and ` + notEnded + `) d
order by p.n`

const (
	notEnded = `g.live and (g.ends_at is null or g.ends_at > statement_timestamp())`
	boundary = `extract(epoch from min(case when g.starts_at > statement_timestamp() then g.starts_at else g.ends_at end)
		- statement_timestamp())::float8 as boundary`
)

// exactText works out everything in one snapshot, without a catalogue.
const exactText = `
select ` + statusColumns + `,
	array(select g.role_id from membership_roles g where g.org_id = p.org_id and g.user_id = p.user_id and ` + ActiveSQL + `) as roles,
	array(select q.key from permission_keys q where q.deleted_at is null and q.id in (
		select rp.permission_id from membership_roles g join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null
			where g.org_id = p.org_id and g.user_id = p.user_id and ` + ActiveSQL + `
		union select g.permission_id from membership_permissions g
			where g.org_id = p.org_id and g.user_id = p.user_id and ` + ActiveSQL + `) order by q.key) as effective` +
	ofPlaces + `
order by p.n`

func split(places []MemberKey) ([]db.UserID, []db.OrganizationID) {
	users, organizations := make([]db.UserID, len(places)), make([]db.OrganizationID, len(places))
	for i, p := range places {
		users[i], organizations[i] = p.User, p.Organization
	}
	return users, organizations
}

// readExact reads what is held at the places, in the transaction of ctx if there
// is one.
func (e *Engine) readExact(ctx context.Context, places []MemberKey) ([]*Entitlements, error) {
	users, organizations := split(places)
	rows, err := db.Select[entitlementsRow](ctx, e.db, exactText, users, organizations)
	if err != nil {
		return nil, err
	}
	all := make([]*Entitlements, len(rows))
	for i := range rows {
		all[i] = e.held(places[i], &rows[i])
		all[i].exact = append([]string{}, rows[i].Effective...) // not nil
	}
	return all, nil
}

// longestTerm is how long an entry with a time limit counts at most: clocks of
// two machines run apart, if only by some ms a minute.
const longestTerm = time.Minute

// readLive reads what is held at the places, for the cache. If that does not go
// with the catalogue at position, it gives the snapshot seen instead, which the
// feed has to reach first.
func (e *Engine) readLive(ctx context.Context, places []MemberKey, position changes.Revision) (all []*Entitlements, seen string, err error) {
	users, organizations := split(places)
	epoch, now := e.epoch.Load(), e.now() // before the database is read
	rows, err := db.Select[entitlementsRow](ctx, e.db, liveText, users, organizations, position.String())
	if err != nil {
		return nil, "", err
	}
	all = make([]*Entitlements, len(rows))
	for i := range rows {
		row := &rows[i]
		if row.Pending && !e.without.pending {
			return nil, row.Seen, nil
		}
		h := e.held(places[i], row)
		h.epoch = epoch
		if row.Boundary != nil {
			h.until = now + time.Duration(min(*row.Boundary, longestTerm.Seconds())*float64(time.Second))
		}
		all[i] = h
	}
	return all, "", nil
}

func (e *Engine) held(place MemberKey, row *entitlementsRow) *Entitlements {
	h := e.NewEntitlements(row.Roles, row.Permissions)
	h.place, h.status = place, 0
	for _, flag := range []struct {
		is     bool
		status status
	}{{row.Member, isMember}, {row.UserSuspended, userSuspended}, {row.OrganizationSuspended, organizationSuspended}} {
		if flag.is {
			h.status |= flag.status
		}
	}
	return h
}

// NewEntitlements returns what a member holds by these grants. What several of them give
// is held once.
func (e *Engine) NewEntitlements(roles []db.RoleID, direct []db.PermissionID) *Entitlements {
	numbers := make([]uint32, 0, len(roles)+len(direct))
	for _, id := range roles {
		numbers = append(numbers, e.roles.of(id))
	}
	numbers = compact(numbers, 0)
	h := &Entitlements{status: isMember, direct: len(numbers), until: math.MaxInt64}
	for _, id := range direct {
		numbers = append(numbers, e.permissions.of(id))
	}
	h.numbers = compact(numbers, h.direct)
	return h
}

// compact sorts the numbers from that place on, and leaves each once.
func compact(numbers []uint32, from int) []uint32 {
	slices.Sort(numbers[from:])
	return numbers[:from+len(slices.Compact(numbers[from:]))]
}

// Effective gives what the member may do, ordered by key.
func (c *Catalogue) Effective(h *Entitlements) []*db.Permission {
	permissions := []*db.Permission{}
	if !h.mayAct() {
		return permissions
	}
	if h.exact != nil {
		for _, key := range h.exact {
			if p := c.PermissionByKey(key); p != nil && p.Key == key { // each once, whatever its former keys
				permissions = append(permissions, p)
			}
		}
		return permissions
	}
	return c.list(c.union(h))
}

// Answer is a key for which checks say yes, and the permission that it names.
type Answer struct {
	Key        string
	Permission *db.Permission
}

// Answers returns the keys for which checks say yes at that moment to a member who
// holds this then, in order: former keys are among them until their time is over.
func (c *Catalogue) Answers(h *Entitlements, at time.Time) []Answer {
	permissions := c.Effective(h)
	answers := make([]Answer, 0, len(permissions))
	for _, p := range permissions {
		answers = append(answers, Answer{p.Key, p})
	}
	for _, p := range permissions {
		for _, former := range c.former[p.ID] {
			if former.Until.After(at) {
				answers = append(answers, Answer{former.Key, p})
			}
		}
	}
	if len(answers) > len(permissions) {
		slices.SortFunc(answers, func(a, b Answer) int { return cmp.Compare(a.Key, b.Key) })
	}
	return answers
}

// FormerKeysEnd returns the moments after that one at which former keys cease to
// answer, in no order.
func (c *Catalogue) FormerKeysEnd(after time.Time) []time.Time {
	var ends []time.Time
	for _, keys := range c.former {
		for _, k := range keys {
			if k.Until.After(after) {
				ends = append(ends, k.Until)
			}
		}
	}
	return ends
}

// union gives what is held through roles and directly.
func (c *Catalogue) union(h *Entitlements) set {
	all := newSet(len(c.Permissions))
	for _, number := range h.numbers[:h.direct] {
		all.union(c.setOf(number))
	}
	for _, number := range h.numbers[h.direct:] {
		if int(number) < len(c.ordinalOf) && c.ordinalOf[number] >= 0 {
			all.add(c.ordinalOf[number])
		}
	}
	return all
}

// setOf gives the permissions of a role by its number; none for one that this
// catalogue does not have.
func (c *Catalogue) setOf(number uint32) set {
	if int(number) < len(c.numbered) {
		return c.numbered[number]
	}
	return nil
}

// Allows tells whether the member may do it; false for a permission that does
// not exist.
func (c *Catalogue) Allows(h *Entitlements, key string) bool {
	if !h.mayAct() {
		return false
	}
	if h.exact != nil {
		return slices.Contains(h.exact, key)
	}
	d, ok := c.keys[Permission(key)]
	if !ok {
		return false
	}
	for _, number := range h.numbers[:h.direct] {
		if s := c.setOf(number); s != nil && s.has(d.ordinal) {
			return true
		}
	}
	return slices.Contains(h.numbers[h.direct:], d.number)
}

// AllowsEach is Allows for several permissions.
func (c *Catalogue) AllowsEach(h *Entitlements, keys []string) []bool {
	answers := make([]bool, len(keys))
	for i, key := range keys {
		answers[i] = c.Allows(h, key)
	}
	return answers
}

// HeldRoles gives the roles that the member holds, ordered by key.
func (c *Catalogue) HeldRoles(h *Entitlements) []*db.Role {
	roles := []*db.Role{}
	for _, number := range h.numbers[:h.direct] {
		if int(number) < len(c.roleOf) && c.roleOf[number] != nil {
			roles = append(roles, c.roleOf[number])
		}
	}
	slices.SortFunc(roles, func(a, b *db.Role) int { return cmp.Compare(a.Key, b.Key) })
	return roles
}
