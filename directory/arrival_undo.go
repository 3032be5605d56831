package directory

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// Withdraw takes back what an import has done to the users, and returns those of whom it has
// left something as it is: somebody else has changed it since, or the user has signed in. The
// actor must be allowed to write users and members, and must outrank the users.
//
// Whom the import has made, it deletes. Others get the values that they had before, and leave
// the organizations that they were brought to.
func (d *Directory) Withdraw(ctx context.Context, id db.ImportID, users []db.UserID) (left []db.UserID, err error) {
	if err := access.Require(ctx, access.MembersWrite); err != nil {
		return nil, err
	}
	err = d.change(ctx, access.UsersWrite, func(ctx context.Context, w *write) error {
		t, err := d.tracesOf(ctx, id, users)
		if err != nil {
			return err
		}
		if err := w.ReadClock(ctx); err != nil {
			return err
		}
		var made []*db.User
		left = nil
		for _, trace := range t {
			switch {
			case trace.user == nil || trace.brought == nil && len(trace.members) == 0: // deleted, or taken back already
			case len(trace.lacking) > 0:
				left = append(left, trace.id)
			case trace.isMade() && trace.isTouched():
				left = append(left, trace.id)
			case trace.isMade():
				made = append(made, trace.user)
			default:
				all, err := d.withdrawFrom(ctx, w, trace)
				if err != nil {
					return err
				}
				if !all {
					left = append(left, trace.id)
				}
			}
		}
		return d.deleteUsers(ctx, w, made, nil)
	})
	return left, err
}

// trace is what an import has done to a user, and what others have since.
type trace struct {
	id      db.UserID
	user    *db.User // nil once deleted
	lacking []string
	// brought are the changes of the user by the import, first and last.
	brought []db.Change
	// touched is true if others have changed the user since.
	touched bool
	members []memberTrace
	// others are memberships in which the import has done nothing.
	others int
}

// memberTrace is what an import has done to a membership.
type memberTrace struct {
	row *db.Membership
	// joined is true if the import has made it, and grants are what it has granted else.
	joined  bool
	grants  []grantTrace
	touched bool
}

// grantTrace is a grant that an import has made.
type grantTrace struct {
	kind grantKind
	id   db.GrantID
}

// isMade reports whether the import has made the user.
func (t *trace) isMade() bool { return len(t.brought) > 0 && t.brought[0].Before == nil }

// isTouched reports whether somebody else has changed anything of a user whom the import has
// made.
func (t *trace) isTouched() bool {
	touched := t.touched || t.others > 0 || t.user.SignInCount > 0
	for _, m := range t.members {
		touched = touched || m.touched
	}
	return touched
}

// tracesOf reads what the import has done to the users, whom it locks, in the order of their
// ids.
func (d *Directory) tracesOf(ctx context.Context, id db.ImportID, users []db.UserID) ([]*trace, error) {
	rows, err := db.Select[db.User](ctx, d.db, "select * from users where id = any($1) and deleted_at is null order by id "+forChange, users)
	if err != nil {
		return nil, err
	}
	members, err := pointers(db.Select[db.Membership](ctx, d.db, "select * from memberships where user_id = any($1) order by org_id, user_id "+forChange, users))
	if err != nil {
		return nil, err
	}
	of := make(map[db.UserID]*trace, len(rows))
	all := make([]*trace, len(rows))
	people := make([]person, len(rows))
	var subjects []string
	for i := range rows {
		all[i] = &trace{id: rows[i].ID, user: &rows[i]}
		of[rows[i].ID], people[i] = all[i], person{user: rows[i].ID}
		subjects = append(subjects, rows[i].ID.String())
	}
	for _, m := range members {
		subjects = append(subjects, m.ID.String())
	}
	lacking, err := d.lacking(ctx, access.ActorOf(ctx), people)
	if err != nil {
		return nil, err
	}
	for i := range lacking {
		all[i].lacking = lacking[i]
	}
	done, later, err := d.changesOf(ctx, id, subjects)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		subject := t.id.String()
		t.brought = done[subject]
		t.touched = isLater(later[subject], t.brought) || t.user.LastSignedInAt != nil && isLater(*t.user.LastSignedInAt, t.brought)
	}
	for _, m := range members {
		t := of[m.UserID]
		subject := m.ID.String()
		if t == nil {
			continue
		}
		if len(done[subject]) == 0 {
			t.others++
			continue
		}
		t.members = append(t.members, newMemberTrace(m, done[subject], later[subject]))
	}
	return all, d.countKeys(ctx, of)
}

// changesOf returns the changes of the subjects that the import has made, in their order, and
// when others have changed each of them last.
func (d *Directory) changesOf(ctx context.Context, id db.ImportID, subjects []string) (done map[string][]db.Change, later map[string]time.Time, err error) {
	rows, err := db.Select[db.Change](ctx, d.db, "select * from changes where import_id = $1 and subject = any($2) order by at, id", id, subjects)
	if err != nil {
		return nil, nil, err
	}
	done = map[string][]db.Change{}
	for _, row := range rows {
		done[row.Subject] = append(done[row.Subject], row)
	}
	others, err := db.Select[struct {
		Subject string
		At      time.Time
	}](ctx, d.db, "select subject, max(at) as at from changes where subject = any($2) and import_id is distinct from $1 group by subject", id, subjects)
	later = make(map[string]time.Time, len(others))
	for _, row := range others {
		later[row.Subject] = row.At
	}
	return done, later, err
}

// isLater reports whether somebody has changed something after it was brought in.
func isLater(at time.Time, brought []db.Change) bool {
	return len(brought) > 0 && at.After(brought[0].At)
}

func newMemberTrace(m *db.Membership, done []db.Change, later time.Time) memberTrace {
	t := memberTrace{row: m, touched: isLater(later, done)}
	for _, c := range done {
		switch changes.ActionByName(c.Action) {
		case changes.MembershipImported:
			t.joined = true
		case changes.RoleGranted:
			t.grants = append(t.grants, grantTrace{roleGrants, grantIn(c)})
		case changes.PermissionGranted:
			t.grants = append(t.grants, grantTrace{permissionGrants, grantIn(c)})
		}
	}
	return t
}

// grantIn returns the id of the grant that was recorded.
func grantIn(c db.Change) db.GrantID {
	var values struct {
		GrantID db.GrantID `json:"grantId"`
	}
	_ = json.Unmarshal(c.After, &values) // it is zero if the values were erased
	return values.GrantID
}

// countKeys notes of users for whom API keys stand that somebody has changed them.
func (d *Directory) countKeys(ctx context.Context, of map[db.UserID]*trace) error {
	ids := make([]db.UserID, 0, len(of))
	for id := range of {
		ids = append(ids, id)
	}
	with, err := db.Select[db.UserID](ctx, d.db, "select user_id from api_keys where user_id = any($1) union select responsible_user_id from api_keys where responsible_user_id = any($1)", ids)
	for _, id := range with {
		of[id].touched = of[id].touched || of[id].isMade()
	}
	return err
}

// withdrawFrom takes back what was done to a user who was there before. It reports false if
// something was left, since others have changed it.
func (d *Directory) withdrawFrom(ctx context.Context, w *write, t *trace) (all bool, err error) {
	all = true
	if len(t.brought) > 0 {
		if all = !t.touched; all {
			if err := w.revertUser(ctx, t); err != nil {
				return false, err
			}
		}
	}
	for _, m := range t.members {
		if m.touched {
			all = false
			continue
		}
		if m.joined && t.others == 0 && !t.staysElsewhere(m) {
			all = false // nobody belongs nowhere
			continue
		}
		if err := d.withdrawMember(ctx, w, &m); err != nil {
			return false, err
		}
	}
	return all, nil
}

// staysElsewhere reports whether the user has another membership that the import has not
// made.
func (t *trace) staysElsewhere(but memberTrace) bool {
	return slices.ContainsFunc(t.members, func(m memberTrace) bool { return m.row.ID != but.row.ID && (!m.joined || m.touched) })
}

// withdrawMember ends the membership if the import has made it, and else what it has
// granted.
func (d *Directory) withdrawMember(ctx context.Context, w *write, m *memberTrace) error {
	if m.joined {
		return w.leave(ctx, d, []*db.Membership{m.row}, nil)
	}
	for _, g := range m.grants {
		target, err := db.SelectOne[uuid.UUID](ctx, d.db, "select "+g.kind.column+" from "+g.kind.table+" where org_id = $1 and user_id = $2 and id = $3 and live", m.row.OrgID, m.row.UserID, g.id)
		if err != nil {
			return err
		}
		if target == nil {
			continue
		}
		live, keys, err := w.lockLiveGrants(ctx, d, g.kind, []*db.Membership{m.row}, []uuid.UUID{*target})
		if err != nil {
			return err
		}
		for _, grant := range live[grantKey{m.row.UserID, *target}] {
			if grant.ID != g.id {
				continue
			}
			if err := w.recordGrant(g.kind, g.kind.revoked, grant, keys, nil); err != nil {
				return err
			}
			w.updateGrants(g.kind, []liveGrant{grant}, endGrantText("$5", "$6"), w.At, w.actor.String())
		}
	}
	return nil
}

// broughtValues are the values in the record of a user who was brought in, without those that
// did not change.
type broughtValues struct {
	Email, Username, Phone, GivenName, FamilyName, PictureURL, ExternalID *string
	EmailVerified                                                         bool
	Properties                                                            json.RawMessage
	Password                                                              bool
	Identities                                                            []ForeignAccount
}

// revertUser restores the values that the user had before.
func (w *write) revertUser(ctx context.Context, t *trace) error {
	before := *t.user
	for i := len(t.brought) - 1; i >= 0; i-- {
		c := t.brought[i]
		if changes.ActionByName(c.Action) != changes.UserImported {
			continue // a suspension stays: to restore somebody is to hand out what they hold
		}
		var after broughtValues
		if err := json.Unmarshal(c.After, &after); err != nil {
			return err
		}
		if err := json.Unmarshal(c.Before, t.user); err != nil { // which has just what was changed
			return err
		}
		if err := w.removeWaysIn(ctx, t.id, after); err != nil {
			return err
		}
	}
	t.user.DeriveFrom(&before)
	return w.update(ctx, t.user, changes.UserUpdated, t.id.String(), &before, func() { t.user.Version, t.user.UpdatedAt = t.user.Version+1, w.At })
}

// removeWaysIn removes the password and the foreign accounts that were brought in.
func (w *write) removeWaysIn(ctx context.Context, user db.UserID, brought broughtValues) error {
	if brought.Password {
		if _, err := w.ExecContext(ctx, "delete from passwords where user_id = ?", user); err != nil {
			return err
		}
		if _, err := w.ExecContext(ctx, "delete from identities where provider = ? and subject = ?", db.PasswordProvider, user.String()); err != nil {
			return err
		}
	}
	for _, account := range brought.Identities {
		if _, err := w.ExecContext(ctx, "delete from identities where provider = ? and subject = ? and user_id = ?", account.Provider, account.Subject, user); err != nil {
			return err
		}
		if err := w.Record(changes.UserIdentityUnlinked, user.String(), nil, changes.Values{"provider": account.Provider}, nil); err != nil {
			return err
		}
	}
	return nil
}
