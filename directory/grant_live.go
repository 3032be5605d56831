package directory

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun/dialect/pgdialect"

	"roster/db"
)

// liveGrant is a live grant as writes see it.
type liveGrant struct {
	ID       db.GrantID
	UserID   db.UserID
	TargetID uuid.UUID
	StartsAt time.Time
	EndsAt   *time.Time
	Reason   *string
	// Begun reports whether the grant had begun when it was read, which is later than
	// the write began if that has waited for another one.
	Begun  bool
	member *db.Membership `bun:"-"`
}

// grantKey is a target, a role or permission, and the user to whom it is granted.
type grantKey struct {
	user     db.UserID
	targetID uuid.UUID
}

// liveGrants has all live grants of each target to each user, in the order in which
// they were made.
type liveGrants map[grantKey][]liveGrant

// lockLiveGrants reads and locks the live grants of the targets to the members of one
// organization. It also returns the keys of the targets, for the log.
func (w *write) lockLiveGrants(ctx context.Context, d *Directory, kind grantKind, members []*db.Membership, targets []uuid.UUID) (liveGrants, map[uuid.UUID]string, error) {
	memberOf := make(map[db.UserID]*db.Membership, len(members))
	users := make([]db.UserID, len(members))
	for i, m := range members {
		users[i], memberOf[m.UserID] = m.UserID, m
	}
	var b db.Batch
	rows := db.Queue[liveGrant](&b, "select id, user_id, "+kind.column+" as target_id, starts_at, ends_at, reason, starts_at <= clock_timestamp() as begun from "+kind.table+
		" where org_id = $1 and user_id = any($2) and "+kind.column+" = any($3) and live order by user_id, "+kind.column+", granted_at, id for update",
		members[0].OrgID, users, targets)
	named := db.Queue[targetKey](&b, "select id, key from "+kind.keys+" where id = any($1)", targets)
	if err := d.db.Run(ctx, &b); err != nil {
		return nil, nil, err
	}
	live := make(liveGrants, len(rows.All))
	for _, g := range rows.All {
		key := grantKey{g.UserID, g.TargetID}
		g.member = memberOf[g.UserID]
		live[key] = append(live[key], g)
	}
	keys := make(map[uuid.UUID]string, len(named.All))
	for _, row := range named.All {
		keys[row.ID] = row.Key
	}
	return live, keys, nil
}

// targetKey is the key of a role or permission.
type targetKey struct {
	ID  uuid.UUID
	Key string
}

// withTerm returns the latest of the grants that has the term, or nil. The past does
// not matter: two terms that have begun and end together are the same.
func (w *write) withTerm(grants []liveGrant, t term) *liveGrant {
	for i := len(grants) - 1; i >= 0; i-- {
		g := &grants[i]
		bothHold := g.Begun && !w.hasEnded(*g) && !t.startsAt.After(w.At)
		if sameTime(g.EndsAt, t.endsAt) && (bothHold || g.StartsAt.Equal(t.startsAt)) {
			return g
		}
	}
	return nil
}

// hasEnded reports whether the term of a live grant is over.
func (w *write) hasEnded(g liveGrant) bool { return g.EndsAt != nil && !g.EndsAt.After(w.At) }

func (w *write) countNotEnded(grants []liveGrant) int {
	n := 0
	for _, g := range grants {
		if !w.hasEnded(g) {
			n++
		}
	}
	return n
}

// retire ends the grants whose term is over if new ones stand beside them: something
// that is granted for a time again and again leaves few live grants behind.
func (w *write) retire(kind grantKind, live liveGrants, fresh []newGrant) {
	var past []liveGrant
	for _, f := range fresh {
		for _, g := range live[grantKey{f.member.UserID, f.targetID}] {
			if w.hasEnded(g) {
				past = append(past, g)
			}
		}
	}
	w.updateGrants(kind, past, "live = false")
}

// updateGrants sets columns of the grants g, all of one organization, at the end of the
// write. The arguments of set begin with $5.
func (w *write) updateGrants(kind grantKind, grants []liveGrant, set string, args ...any) {
	if len(grants) == 0 {
		return
	}
	ids, users, targets := make([]db.GrantID, len(grants)), make([]db.UserID, len(grants)), make([]uuid.UUID, len(grants))
	for i, g := range grants {
		ids[i], users[i], targets[i] = g.ID, g.UserID, g.TargetID
	}
	w.Later("update "+kind.table+" g set "+set+" from unnest($1::uuid[], $2::uuid[], $3::uuid[]) x (user_id, target_id, id)"+
		" where g.org_id = $4 and g.user_id = x.user_id and g."+kind.column+" = x.target_id and g.id = x.id",
		append([]any{users, targets, ids, grants[0].member.OrgID}, args...)...)
}

// notEnded returns the member's grants that hold now or will hold.
func (d *Directory) notEnded(ctx context.Context, w *write, m *db.Membership) ([]db.RoleGrant, []db.PermissionGrant, error) {
	const of = " where org_id = $1 and user_id = $2 and live and (ends_at is null or ends_at > $3)"
	roles, err := db.Select[db.RoleGrant](ctx, d.db, "select * from membership_roles"+of, m.OrgID, m.UserID, w.At)
	if err != nil {
		return nil, nil, err
	}
	permissions, err := db.Select[db.PermissionGrant](ctx, d.db, "select * from membership_permissions"+of, m.OrgID, m.UserID, w.At)
	return roles, permissions, err
}

// raw returns ids without their kind, for code that treats roles and permissions
// alike.
func raw[K db.Kind](ids []db.ID[K]) []uuid.UUID {
	all := make([]uuid.UUID, len(ids))
	for i, id := range ids {
		all[i] = uuid.UUID(id)
	}
	return all
}

// idArray returns ids as an argument of type uuid[] for bun.
func idArray[K db.Kind](ids []db.ID[K]) any { return pgdialect.Array(raw(ids)) }

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}
