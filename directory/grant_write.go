package directory

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun/dialect/pgdialect"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// grantKind is one of the two kinds of grant, which differ only in what they
// give.
type grantKind struct {
	table, column string
	// name is that of what is given, in the schema and in the log of changes.
	name string
	// keys is the table that has its key.
	keys string
	// granted, changed and revoked are the actions on grants of this kind.
	granted, changed, revoked changes.Action
}

var (
	roleGrants = grantKind{
		table: "membership_roles", column: "role_id", name: "role", keys: "roles",
		granted: changes.RoleGranted, changed: changes.RoleGrantChanged, revoked: changes.RoleRevoked,
	}
	permissionGrants = grantKind{
		table: "membership_permissions", column: "permission_id", name: "permission", keys: "permissions",
		granted: changes.PermissionGranted, changed: changes.PermissionGrantChanged, revoked: changes.PermissionRevoked,
	}
)

// term is from when until when something is granted, and why.
type term struct {
	startsAt time.Time
	endsAt   *time.Time
	reason   *string
}

func termOf(g db.Grant) term { return term{g.StartsAt, g.EndsAt, g.Reason} }

// widened is the term that covers both; what is held already keeps its reason.
func (t term) widened(g held) term {
	if g.StartsAt.Before(t.startsAt) {
		t.startsAt = g.StartsAt
	}
	if t.endsAt != nil && (g.EndsAt == nil || g.EndsAt.After(*t.endsAt)) {
		t.endsAt = g.EndsAt
	}
	t.reason = g.Reason
	return t
}

// term checks from when until when something is to be granted.
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

// held is a live grant as the writes below see it.
type held struct {
	UserID   db.UserID
	Thing    uuid.UUID
	StartsAt time.Time
	EndsAt   *time.Time
	Reason   *string
	// Begun tells whether it holds already, by the clock after whoever gave it at
	// the same moment has committed.
	Begun bool
}

type heldKey struct {
	user  db.UserID
	thing uuid.UUID
}

// liveOf reads the live grants of the things to the members, and locks them.
func (w *write) liveOf(ctx context.Context, kind grantKind, members []*db.Membership, things []uuid.UUID) (map[heldKey]held, error) {
	users := make([]db.UserID, len(members))
	for i, m := range members {
		users[i] = m.UserID
	}
	var rows []held
	err := w.NewRaw("select user_id, "+kind.column+" as thing, starts_at, ends_at, reason, starts_at <= clock_timestamp() as begun from "+kind.table+
		" where org_id = ? and user_id = any(?) and "+kind.column+" = any(?) and live order by user_id, "+kind.column+" for update",
		members[0].OrgID, idArray(users), pgdialect.Array(things)).Scan(ctx, &rows)
	if err != nil {
		return nil, err
	}
	live := make(map[heldKey]held, len(rows))
	for _, row := range rows {
		live[heldKey{row.UserID, row.Thing}] = row
	}
	return live, nil
}

// grant grants the things to the members of one organization, by an allowance. A grant that holds
// gets the new end and reason; one that has ended, or is still to begin at
// another time, is replaced. It writes nothing when there are faults.
func (w *write) grant(ctx context.Context, by access.Allowance, kind grantKind, members []*db.Membership, things []uuid.UUID, t term) error {
	if len(members) == 0 || len(things) == 0 {
		return w.faults.Err()
	}
	live, err := w.liveOf(ctx, kind, members, things)
	if err != nil {
		return err
	}
	w.mayEnd(live, t)
	if err := w.faults.Err(); err != nil {
		return err
	}
	if err := covered(by, &members[0].OrgID, things); err != nil {
		return err
	}
	keys, err := w.keysOf(ctx, kind, things)
	if err != nil {
		return err
	}
	var fresh []grantRow
	for _, m := range members {
		for _, thing := range things {
			before, exists := live[heldKey{m.UserID, thing}]
			switch {
			case exists && w.extends(before, t):
				err = w.extend(ctx, kind, m, keys[thing], before, t)
			case exists:
				if err = w.replace(ctx, kind, m, keys[thing], before); err == nil {
					fresh = append(fresh, grantRow{m, thing})
				}
			default:
				fresh = append(fresh, grantRow{m, thing})
			}
			if err != nil {
				return err
			}
		}
	}
	return w.insertGrants(ctx, kind, fresh, keys, t)
}

// extends tells whether a live grant becomes the one that is asked for by a new
// end and reason: it holds now, so that nothing is taken away for a while, or it
// begins when that one would.
func (w *write) extends(g held, t term) bool {
	return !w.ended(g) && (g.Begun || g.StartsAt.Equal(t.startsAt))
}

// mayEnd checks that none of the live grants which hold now is to have ended
// before: that would be another past.
func (w *write) mayEnd(live map[heldKey]held, t term) {
	if t.endsAt == nil || t.endsAt.After(w.At) || w.faults.about("input.endsAt") {
		return
	}
	for _, g := range live {
		if w.extends(g, t) {
			w.faults.Add(problem.Invalid, "input.endsAt", "This is held now: revoke it, or let it end in the future.")
			return
		}
	}
}

// ended tells whether a live grant has ended by itself.
func (w *write) ended(g held) bool { return g.EndsAt != nil && !g.EndsAt.After(w.At) }

// replace ends a live grant in whose place another one comes. One that was still
// to begin is thereby revoked.
func (w *write) replace(ctx context.Context, kind grantKind, m *db.Membership, key string, before held) error {
	if !w.ended(before) {
		if err := w.recordRevoked(kind, m, key, before, nil); err != nil {
			return err
		}
	}
	return w.end(ctx, kind, m.OrgID, []db.UserID{m.UserID}, []uuid.UUID{before.Thing})
}

func (w *write) recordRevoked(kind grantKind, m *db.Membership, key string, g held, reason *string) error {
	return w.Record(kind.revoked, m.ID.String(), &m.OrgID,
		grantValues(kind, m, key, term{g.StartsAt, g.EndsAt, g.Reason}), changes.Values{"reason": reason})
}

func (w *write) extend(ctx context.Context, kind grantKind, m *db.Membership, key string, before held, t term) error {
	if t.reason == nil {
		t.reason = before.Reason
	}
	if sameTime(before.EndsAt, t.endsAt) && textValue(before.Reason) == textValue(t.reason) {
		return nil
	}
	_, err := w.ExecContext(ctx, "update "+kind.table+" set ends_at = ?, reason = ? where org_id = ? and user_id = ? and "+
		kind.column+" = ? and live", t.endsAt, t.reason, m.OrgID, m.UserID, before.Thing)
	if err != nil {
		return err
	}
	old := term{before.StartsAt, before.EndsAt, before.Reason}
	t.startsAt = before.StartsAt
	return w.Record(kind.changed, m.ID.String(), &m.OrgID,
		grantValues(kind, m, key, old), grantValues(kind, m, key, t))
}

// end takes live grants of the things to the users out of force: those which
// have ended by themselves are no longer live, the others are thereby revoked.
func (w *write) end(ctx context.Context, kind grantKind, org db.OrganizationID, users []db.UserID, things []uuid.UUID) error {
	_, err := w.ExecContext(ctx, "update "+kind.table+" g set "+ended+
		" where org_id = ? and user_id = any(?) and "+kind.column+" = any(?) and live",
		w.At, w.At, w.At, w.actor.String(), org, idArray(users), pgdialect.Array(things))
	return err
}

// ended sets the columns of a grant g that is live no more; its arguments are
// the moment, three times, and the actor.
const ended = `live = false,
	revoked_at = case when ends_at <= ? then null else greatest(granted_at, ?) end,
	revoked_by = case when ends_at <= ? then null else ? end`

// grantRow is a grant to be written.
type grantRow struct {
	member *db.Membership
	thing  uuid.UUID
}

func (w *write) insertGrants(ctx context.Context, kind grantKind, rows []grantRow, keys map[uuid.UUID]string, t term) error {
	if len(rows) == 0 {
		return nil
	}
	ids, orgs := make([]uuid.UUID, len(rows)), make([]db.OrganizationID, len(rows))
	users, things := make([]db.UserID, len(rows)), make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i], orgs[i], users[i], things[i] = uuid.Must(uuid.NewV7()), row.member.OrgID, row.member.UserID, row.thing
		if err := w.Record(kind.granted, row.member.ID.String(), &row.member.OrgID, nil,
			grantValues(kind, row.member, keys[row.thing], t)); err != nil {
			return err
		}
	}
	_, err := w.ExecContext(ctx, "insert into "+kind.table+" (id, org_id, user_id, "+kind.column+
		`, starts_at, ends_at, granted_at, granted_by, reason)
		select *, ?::timestamptz, ?::timestamptz, ?::timestamptz, ?::text, ?::text from unnest(?::uuid[], ?::uuid[], ?::uuid[], ?::uuid[])`,
		t.startsAt, t.endsAt, w.At, w.actor.String(), t.reason,
		pgdialect.Array(ids), idArray(orgs), idArray(users), pgdialect.Array(things))
	return err
}

// revoke ends the live grants of the things to the members. It writes nothing
// when there are faults.
func (w *write) revoke(ctx context.Context, kind grantKind, members []*db.Membership, things []uuid.UUID, reason *string) error {
	reason = w.faults.prose("input.reason", reason, maxReason)
	if err := w.faults.Err(); err != nil {
		return err
	}
	live, err := w.liveOf(ctx, kind, members, things)
	if err != nil {
		return err
	}
	keys, err := w.keysOf(ctx, kind, things)
	if err != nil {
		return err
	}
	var users []db.UserID
	for _, m := range members {
		for _, thing := range things {
			before, exists := live[heldKey{m.UserID, thing}]
			if !exists || w.ended(before) {
				continue
			}
			users = append(users, m.UserID)
			if err := w.recordRevoked(kind, m, keys[thing], before, reason); err != nil {
				return err
			}
		}
	}
	return w.end(ctx, kind, members[0].OrgID, distinct(users), things)
}

// grantValues tell in the log of changes what was granted to whom.
func grantValues(kind grantKind, m *db.Membership, key string, t term) changes.Values {
	return changes.Values{
		"userId": m.UserID, kind.name: key, "startsAt": t.startsAt.UTC(), "endsAt": t.endsAt, "reason": t.reason,
	}
}

// keysOf reads the keys of roles or permissions, for the log.
func (w *write) keysOf(ctx context.Context, kind grantKind, things []uuid.UUID) (map[uuid.UUID]string, error) {
	var rows []struct {
		ID  uuid.UUID
		Key string
	}
	if err := w.NewRaw("select id, key from "+kind.keys+" where id = any(?)", pgdialect.Array(things)).Scan(ctx, &rows); err != nil {
		return nil, err
	}
	keys := make(map[uuid.UUID]string, len(rows))
	for _, row := range rows {
		keys[row.ID] = row.Key
	}
	return keys, nil
}

// liveGrants reads what the member holds, or will.
func (d *Directory) liveGrants(ctx context.Context, w *write, m *db.Membership) ([]db.RoleGrant, []db.PermissionGrant, error) {
	const of = " where org_id = $1 and user_id = $2 and live and (ends_at is null or ends_at > $3)"
	roles, err := db.Select[db.RoleGrant](ctx, d.db, "select * from membership_roles"+of, m.OrgID, m.UserID, w.At)
	if err != nil {
		return nil, nil, err
	}
	permissions, err := db.Select[db.PermissionGrant](ctx, d.db, "select * from membership_permissions"+of, m.OrgID, m.UserID, w.At)
	return roles, permissions, err
}

// raw gives ids without their kind, for what treats roles and permissions
// alike.
func raw[K db.Kind](ids []db.ID[K]) []uuid.UUID {
	all := make([]uuid.UUID, len(ids))
	for i, id := range ids {
		all[i] = uuid.UUID(id)
	}
	return all
}

// idArray makes a uuid[] of ids for bun.
func idArray[K db.Kind](ids []db.ID[K]) any { return pgdialect.Array(raw(ids)) }

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}
