package directory

import (
	"context"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// grantKind is one of the two kinds of grant, which differ only in what is granted.
type grantKind struct {
	table, column string
	// name is the kind's name in the schema and in the log of changes.
	name string
	// keys is the table with the keys of the targets.
	keys string
	// These are the actions on grants of this kind.
	granted, changed, shortened, revoked changes.Action
}

var (
	roleGrants = grantKind{
		table: db.RoleGrants.Name, column: db.RoleGrants.Column, name: "role", keys: "roles",
		granted: changes.RoleGranted, changed: changes.RoleGrantChanged, shortened: changes.RoleGrantShortened, revoked: changes.RoleRevoked,
	}
	permissionGrants = grantKind{
		table: db.PermissionGrants.Name, column: db.PermissionGrants.Column, name: "permission", keys: "permissions",
		granted: changes.PermissionGranted, changed: changes.PermissionGrantChanged, shortened: changes.PermissionGrantShortened, revoked: changes.PermissionRevoked,
	}
)

// term is the time from start to end of a grant, and its reason.
type term struct {
	startsAt time.Time
	endsAt   *time.Time
	reason   *string
}

func termOf(g db.Grant) term { return term{g.StartsAt, g.EndsAt, g.Reason} }

// term returns the term of a new grant, and adds faults of its times and reason.
func (w *write) term(startsAt, endsAt *time.Time, reason *string) term {
	t := term{startsAt: w.At, endsAt: endsAt, reason: w.faults.prose("input.reason", reason, maxReason)}
	if startsAt != nil {
		t.startsAt = *startsAt
	}
	if endsAt != nil && !endsAt.After(t.startsAt) {
		w.faults.Add(problem.Invalid, "input.endsAt", "Must be after the start.")
	}
	return t
}

// maxBeside is the most live grants of one target that a member has side by side.
const maxBeside = 100

// newGrant is a grant to be written.
type newGrant struct {
	member   *db.Membership
	targetID uuid.UUID
	term     term
}

// grant grants the targets, which the allowance covers, to the members of one
// organization, who are locked. A member who has a target with the same term keeps
// that grant, which takes the new reason, if there is one; otherwise the new grant
// stands beside the live ones. It writes nothing if there are faults.
func (w *write) grant(ctx context.Context, d *Directory, by access.Allowance, kind grantKind, members []*db.Membership, targets []uuid.UUID, t term) error {
	if len(members) == 0 || len(targets) == 0 {
		return w.faults.Err()
	}
	live, keys, err := w.lockLiveGrants(ctx, d, kind, members, targets)
	if err != nil {
		return err
	}
	again, fresh := w.matchTerm(kind, live, members, targets, t)
	if err := w.faults.Err(); err != nil {
		return err
	}
	if err := covered(by, &members[0].OrgID, t.endsAt, targets...); err != nil {
		return err
	}
	w.retire(kind, live, fresh)
	if err := w.changeReasons(kind, again, keys, t.reason); err != nil {
		return err
	}
	return w.insertGrants(kind, fresh, keys)
}

// matchTerm divides what is to be granted into live grants with the same term, and
// new ones.
func (w *write) matchTerm(kind grantKind, live liveGrants, members []*db.Membership, targets []uuid.UUID, t term) (again []liveGrant, fresh []newGrant) {
	full := false
	for _, m := range members {
		for _, target := range targets {
			beside := live[grantKey{m.UserID, target}]
			if same := w.withTerm(beside, t); same != nil {
				again = append(again, *same)
				continue
			}
			fresh = append(fresh, newGrant{m, target, t})
			full = full || w.countNotEnded(beside) >= maxBeside
		}
	}
	if full {
		w.faults.Add(problem.Invalid, "input."+kind.name+"s", "A member holds at most %d grants of one %s side by side: revoke some first.", maxBeside, kind.name)
	}
	return again, fresh
}

// changeReasons sets the reason of live grants, unless it is nil.
func (w *write) changeReasons(kind grantKind, grants []liveGrant, keys map[uuid.UUID]string, reason *string) error {
	if reason == nil {
		return nil
	}
	var changed []liveGrant
	for _, g := range grants {
		if textValue(g.Reason) == *reason {
			continue
		}
		changed = append(changed, g)
		if err := w.recordGrant(kind, kind.changed, g, keys, changes.Values{"reason": reason}); err != nil {
			return err
		}
	}
	w.updateGrants(kind, changed, "reason = $5", *reason)
	return nil
}

// insertGrants writes new grants at the end of the write, and records each.
func (w *write) insertGrants(kind grantKind, grants []newGrant, keys map[uuid.UUID]string) error {
	ids := grantIDs(len(grants))
	for i, g := range grants {
		if err := w.Record(kind.granted, g.member.ID.String(), &g.member.OrgID, nil,
			grantValues(kind, ids[i], g.member.UserID, keys[g.targetID], g.term)); err != nil {
			return err
		}
	}
	w.writeGrants(kind, grants, ids)
	return nil
}

// grantIDs returns ids for so many new grants.
func grantIDs(n int) []db.GrantID {
	ids := make([]db.GrantID, n)
	for i := range ids {
		ids[i] = db.NewID[db.GrantKind]()
	}
	return ids
}

// writeGrants writes new grants with these ids at the end of the write.
func (w *write) writeGrants(kind grantKind, grants []newGrant, ids []db.GrantID) {
	if len(grants) == 0 {
		return
	}
	n := len(grants)
	orgs, users, targets := make([]db.OrganizationID, n), make([]db.UserID, n), make([]uuid.UUID, n)
	starts, ends, reasons := make([]time.Time, n), make([]*time.Time, n), make([]*string, n)
	for i, g := range grants {
		orgs[i], users[i], targets[i] = g.member.OrgID, g.member.UserID, g.targetID
		starts[i], ends[i], reasons[i] = g.term.startsAt, g.term.endsAt, g.term.reason
	}
	w.Later("insert into "+kind.table+" (granted_at, granted_by, id, org_id, user_id, "+kind.column+`, starts_at, ends_at, reason)
		select $1, $2, * from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::timestamptz[], $9::text[])`,
		w.At, w.actor.String(), ids, orgs, users, targets, starts, ends, reasons)
}

// revocation is when grants are to end (nil: now), and why.
type revocation struct {
	endsAt *time.Time
	reason *string
}

// revocation returns a revocation, and adds faults of its time and reason.
func (w *write) revocation(endsAt *time.Time, reason *string) revocation {
	if endsAt != nil && !endsAt.After(w.At) {
		w.faults.Add(problem.Invalid, "input.endsAt", "Must be in the future; leave it out to end the grants now.")
	}
	return revocation{endsAt, w.faults.prose("input.reason", reason, maxReason)}
}

// leaves reports whether a part of the grant's term comes before the end.
func (r revocation) leaves(g liveGrant) bool { return r.endsAt != nil && g.StartsAt.Before(*r.endsAt) }

// concerns reports whether the grant would last beyond the end.
func (r revocation) concerns(g liveGrant) bool {
	return r.endsAt == nil || g.EndsAt == nil || g.EndsAt.After(*r.endsAt)
}

// revoke ends every live grant of the targets to the members, who are locked, or
// brings its end forward. A grant that would begin only after the end is revoked.
// It writes nothing if there are faults.
func (w *write) revoke(ctx context.Context, d *Directory, kind grantKind, members []*db.Membership, targets []uuid.UUID, r revocation) error {
	if err := w.faults.Err(); err != nil {
		return err
	}
	if len(members) == 0 || len(targets) == 0 {
		return nil
	}
	live, keys, err := w.lockLiveGrants(ctx, d, kind, members, targets)
	if err != nil {
		return err
	}
	var revoked, shortened []liveGrant
	for _, m := range members {
		for _, target := range targets {
			for _, g := range live[grantKey{m.UserID, target}] {
				switch {
				case w.hasEnded(g) || !r.concerns(g):
					continue
				case r.leaves(g):
					shortened = append(shortened, g)
					err = w.recordGrant(kind, kind.shortened, g, keys, changes.Values{"endsAt": r.endsAt, "reason": r.reason})
				default:
					revoked = append(revoked, g)
					err = w.recordGrant(kind, kind.revoked, g, keys, changes.Values{"reason": r.reason})
				}
				if err != nil {
					return err
				}
			}
		}
	}
	w.updateGrants(kind, revoked, endGrantText("$5", "$6"), w.At, w.actor.String())
	w.updateGrants(kind, shortened, "shortened_at = $5, former_end = ends_at, ends_at = $6", w.At, r.endsAt)
	return nil
}

// recordGrant records what was done to a live grant.
func (w *write) recordGrant(kind grantKind, done changes.Action, g liveGrant, keys map[uuid.UUID]string, after changes.Values) error {
	return w.Record(done, g.member.ID.String(), &g.member.OrgID,
		grantValues(kind, g.ID, g.UserID, keys[g.TargetID], term{g.StartsAt, g.EndsAt, g.Reason}), after)
}

// endGrantText returns SQL that sets the columns of a grant g that is no longer live; a
// grant whose term is over is not marked as revoked. at and by are SQL for when it is
// ended, and by whom.
func endGrantText(at, by string) string {
	return `live = false,
	revoked_at = case when g.ends_at <= ` + at + ` then null else greatest(g.granted_at, ` + at + `) end,
	revoked_by = case when g.ends_at <= ` + at + ` then null else ` + by + ` end`
}

// endGrantSQL is endGrantText for statements of bun, whose arguments are endGrantArgs.
var endGrantSQL = endGrantText("?", "?")

func (w *write) endGrantArgs() []any { return []any{w.At, w.At, w.At, w.actor.String()} }

// grantValues returns the values of a grant in the log of changes.
func grantValues(kind grantKind, id db.GrantID, user db.UserID, key string, t term) changes.Values {
	return changes.Values{
		"grantId": id, "userId": user, kind.name: key, "startsAt": t.startsAt.UTC(), "endsAt": t.endsAt, "reason": t.reason,
	}
}
