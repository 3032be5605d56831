package directory_test

import (
	"context"
	"slices"
	"time"

	"roster/db"
)

// naive has all facts that decide about checks, as the tables have them now. Each
// question walks through all of them.
type naive struct {
	grants   []naiveGrant
	contents map[db.RoleID][]db.PermissionID
	keys     []db.FormerKey // with a zero Until, present ones
	inactive map[string]bool
}

type naiveGrant struct {
	OrgID        db.OrganizationID
	UserID       db.UserID
	RoleID       db.RoleID
	PermissionID db.PermissionID
	StartsAt     time.Time
	EndsAt       *time.Time
}

// line is a key by which checks answer for a user somewhere.
type line struct{ organization, user, key string }

// period is a time during which something is so, without an end if until is zero.
type period struct{ from, until time.Time }

func (w *impactWorld) naive(ctx context.Context) *naive {
	w.t.Helper()
	n := &naive{contents: map[db.RoleID][]db.PermissionID{}, inactive: map[string]bool{}}
	n.grants = must(db.Select[naiveGrant](ctx, w.db, `
		select org_id, user_id, role_id, null::uuid as permission_id, starts_at, ends_at from membership_roles where live
		union all select org_id, user_id, null, permission_id, starts_at, ends_at from membership_permissions where live`))(w.t)
	for _, c := range must(db.Select[db.RolePermission](ctx, w.db, "select * from role_permissions where revoked_at is null"))(w.t) {
		n.contents[c.RoleID] = append(n.contents[c.RoleID], c.PermissionID)
	}
	for _, p := range must(db.Select[db.Permission](ctx, w.db, "select * from permissions where deleted_at is null"))(w.t) {
		n.keys = append(n.keys, db.FormerKey{Key: p.Key, PermissionID: p.ID})
	}
	n.keys = append(n.keys, must(db.Select[db.FormerKey](ctx, w.db, "select * from former_keys"))(w.t)...)
	for _, id := range must(db.Select[db.UserID](ctx, w.db, "select id from users where status <> 'ACTIVE'"))(w.t) {
		n.inactive[id.String()] = true
	}
	for _, m := range must(db.Select[db.Membership](ctx, w.db, "select * from memberships where status <> 'ACTIVE'"))(w.t) {
		n.inactive[m.OrgID.String()+m.UserID.String()] = true
	}
	for _, id := range must(db.Select[db.OrganizationID](ctx, w.db, "select id from organizations where status <> 'ACTIVE'"))(w.t) {
		n.inactive[id.String()] = true
	}
	return n
}

// at returns the lines for which checks answer yes at that moment.
func (n *naive) at(t time.Time) map[line]bool {
	all := map[line]bool{}
	for _, g := range n.grants {
		org, user := g.OrgID.String(), g.UserID.String()
		if n.inactive[org] || n.inactive[user] || n.inactive[org+user] || g.StartsAt.After(t) || g.EndsAt != nil && !g.EndsAt.After(t) {
			continue
		}
		for _, k := range n.keys {
			answers := k.Until.IsZero() || k.Until.After(t)
			if answers && (k.PermissionID == g.PermissionID || slices.Contains(n.contents[g.RoleID], k.PermissionID)) {
				all[line{org, user, k.Key}] = true
			}
		}
	}
	return all
}

// moments returns the moments after t at which something may change.
func (n *naive) moments(t time.Time) []time.Time {
	var all []time.Time
	for _, g := range n.grants {
		all = append(all, g.StartsAt)
		if g.EndsAt != nil {
			all = append(all, *g.EndsAt)
		}
	}
	for _, k := range n.keys {
		all = append(all, k.Until)
	}
	return slices.DeleteFunc(all, func(at time.Time) bool { return !at.After(t) })
}

// only returns when, from that moment on, checks answer yes in n and no in other.
func (n *naive) only(other *naive, from time.Time) map[line][]period {
	moments := append(append(n.moments(from), other.moments(from)...), from)
	slices.SortFunc(moments, time.Time.Compare)
	moments = slices.CompactFunc(moments, time.Time.Equal)
	all, open := map[line][]period{}, map[line]bool{}
	for _, t := range moments {
		here, there := n.at(t), other.at(t)
		for l := range here {
			if !there[l] && !open[l] {
				all[l], open[l] = append(all[l], period{from: t.UTC()}), true
			}
		}
		for l := range open {
			if !here[l] || there[l] {
				all[l][len(all[l])-1].until = t.UTC()
				delete(open, l)
			}
		}
	}
	return all
}
