package directory

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun/dialect/pgdialect"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// The reasons why an undo leaves a user as they are.
const (
	userChanged   = "Somebody has changed this user since, or they have signed in: they stay as they are."
	userOutranks  = "This user holds permissions of Roster that whoever undoes the import does not hold: they stay as they are."
	staySuspended = "The user stays suspended. "
)

// Withdraw takes back what an import has done to the users, and returns those of whom it has
// left something as it is, and why: somebody else has changed it since, or the user has signed
// in. The actor must be allowed to write users and members. Users whom they do not outrank
// stay as they are, and users stay suspended if the actor must not hand out what they hold.
//
// Whom the import has made, it deletes. Others get the values that they had before, and leave
// the organizations that they were brought to. However many there are, it takes a fixed number
// of statements. It returns CONFLICT if a user is to get a name back that is another's by now:
// then nothing is changed.
func (d *Directory) Withdraw(ctx context.Context, id db.ImportID, users []db.UserID) (left map[db.UserID]string, err error) {
	if err := access.Require(ctx, access.MembersWrite); err != nil {
		return nil, err
	}
	err = d.change(ctx, access.UsersWrite, func(ctx context.Context, w *write) error {
		traces, err := d.tracesOf(ctx, id, users)
		if err != nil {
			return err
		}
		if err := w.ReadClock(ctx); err != nil {
			return err
		}
		u := &withdrawal{left: map[db.UserID]string{}, revoked: map[string][]grantTrace{}}
		for _, t := range traces {
			u.judge(t)
		}
		left = u.left
		return d.withdraw(ctx, w, u)
	})
	return left, err
}

// withdrawal is what becomes of the users.
type withdrawal struct {
	left map[db.UserID]string
	// made are to be deleted, reverted get their values back, and ended are the memberships
	// to be ended.
	made     []*db.User
	reverted []*trace
	ended    []*db.Membership
	// revoked are the grants to be revoked, by the names of their kinds.
	revoked map[string][]grantTrace
}

// judge notes what becomes of a user.
func (u *withdrawal) judge(t *trace) {
	switch {
	case len(t.brought) == 0 && len(t.members) == 0 && !t.lost: // all of it was taken back already
	case len(t.lacking) > 0:
		u.left[t.id] = userOutranks
	case t.isMade() && t.isTouched():
		u.left[t.id] = userChanged
	case t.isMade():
		u.made = append(u.made, t.user)
	default:
		u.judgeParts(t)
	}
}

// judgeParts notes what becomes of a user who was there before: what others have not changed
// is taken back.
func (u *withdrawal) judgeParts(t *trace) {
	if t.lost || t.touched && len(t.brought) > 0 {
		u.left[t.id] = userChanged
	}
	if !t.touched && len(t.brought) > 0 {
		u.reverted = append(u.reverted, t)
	}
	for _, m := range t.members {
		switch {
		case m.touched, m.joined && !t.staysElsewhere(): // nobody belongs nowhere
			u.left[t.id] = userChanged
		case m.joined:
			u.ended = append(u.ended, m.row)
		default:
			for _, g := range m.grants {
				u.revoked[g.kind.name] = append(u.revoked[g.kind.name], g)
			}
		}
	}
}

// withdraw writes what becomes of the users. Names of those who are deleted are free for those
// who had them before.
func (d *Directory) withdraw(ctx context.Context, w *write, u *withdrawal) error {
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		if err := w.revokeTraced(ctx, d, kind, u.revoked[kind.name]); err != nil {
			return err
		}
	}
	if len(u.ended) > 0 {
		if err := w.leave(ctx, d, u.ended, nil); err != nil {
			return err
		}
	}
	if err := d.deleteUsers(ctx, w, u.made, nil); err != nil {
		return err
	}
	return d.revertUsers(ctx, w, u)
}

// trace is what an import has done to a user, and what others have since.
type trace struct {
	id      db.UserID
	user    *db.User
	lacking []string
	// brought are the changes of the user by the import, first and last.
	brought []db.Change
	// touched is true if others have changed the user since, or they have signed in.
	touched bool
	// lost is true if others have ended a membership in which the import has done something.
	lost    bool
	members []memberTrace
	// others counts the memberships in which the import has done nothing, but for the root.
	others int
	// entangled is true if others have brought the user to an organization or taken them out
	// of one, or if the user has API keys or sessions.
	entangled bool
}

// memberTrace is what an import has done to a membership.
type memberTrace struct {
	row *db.Membership
	// joined is true if the import has made it, and grants are what it has granted else.
	joined bool
	grants []grantTrace
	// touched is true if others have changed the membership since or, if the import has made
	// it, if it is in use.
	touched bool
}

// grantTrace is a grant that an import has made.
type grantTrace struct {
	kind   grantKind
	id     db.GrantID
	member *db.Membership
}

// isMade reports whether the import has made the user.
func (t *trace) isMade() bool { return len(t.brought) > 0 && t.brought[0].Before == nil }

// isTouched reports whether somebody else has changed anything of a user whom the import has
// made.
func (t *trace) isTouched() bool {
	return t.touched || t.entangled || t.user.SignInCount > 0 || slices.ContainsFunc(t.members, func(m memberTrace) bool { return m.touched })
}

// staysElsewhere reports whether the user belongs to an organization when they have left those
// that the import has brought them to.
func (t *trace) staysElsewhere() bool {
	return t.others > 0 || slices.ContainsFunc(t.members, func(m memberTrace) bool { return m.row.OrgID != db.Root && (!m.joined || m.touched) })
}

// tracesOf reads what the import has done to the users, whom it locks, in the order of their
// ids. It leaves out those who are deleted.
func (d *Directory) tracesOf(ctx context.Context, id db.ImportID, users []db.UserID) ([]*trace, error) {
	rows, err := db.Select[db.User](ctx, d.db, "select * from users where id = any($1) and deleted_at is null order by id "+forChange, users)
	if err != nil {
		return nil, err
	}
	members, err := pointers(db.Select[db.Membership](ctx, d.db, "select * from memberships where user_id = any($1) order by org_id, user_id "+forChange, users))
	if err != nil {
		return nil, err
	}
	all := make([]*trace, len(rows))
	of := make(map[db.UserID]*trace, len(rows))
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
	removals, err := d.removalsSince(ctx, id, users)
	if err != nil {
		return nil, err
	}
	for _, r := range removals {
		subjects = append(subjects, r.Subject)
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
	for _, r := range removals {
		if t := of[r.user()]; t != nil {
			t.entangled, t.lost = true, t.lost || len(done[r.Subject]) > 0
		}
	}
	for _, m := range members {
		if t := of[m.UserID]; t != nil {
			t.addMember(m, done[m.ID.String()], later[m.ID.String()])
		}
	}
	return all, d.noteUses(ctx, of)
}

// addMember notes what was done to a membership of the user.
func (t *trace) addMember(m *db.Membership, done []db.Change, later time.Time) {
	if len(done) == 0 {
		t.entangled = true
		if m.OrgID != db.Root {
			t.others++
		}
		return
	}
	member := memberTrace{row: m, touched: isLater(later, done)}
	for _, c := range done {
		switch changes.ActionByName(c.Action) {
		case changes.MembershipImported:
			member.joined = true
		case changes.RoleGranted:
			member.grants = append(member.grants, grantTrace{roleGrants, grantIn(c), m})
		case changes.PermissionGranted:
			member.grants = append(member.grants, grantTrace{permissionGrants, grantIn(c), m})
		}
	}
	t.members = append(t.members, member)
}

// removal is the end of a membership.
type removal struct {
	Subject string
	// UserID is the id of the user, in text form.
	UserID string
}

// user returns the user who was a member; zero if the record does not say so.
func (r *removal) user() db.UserID {
	id, err := db.ParseID[db.UserKind](r.UserID)
	if err != nil {
		return db.UserID{}
	}
	return id
}

// removalsSince returns the memberships of the users that others have ended since the import
// was planned. Only the log still knows them.
func (d *Directory) removalsSince(ctx context.Context, id db.ImportID, users []db.UserID) ([]removal, error) {
	texts := make([]string, len(users))
	for i, user := range users {
		texts[i] = user.String()
	}
	// As the index has it (changes_removals).
	return db.SelectByIndex[removal](ctx, d.db, `select c.subject, c.before ->> 'userId' as user_id from changes c where c.action = 'membership.deleted' and c.before ->> 'userId' = any($2::text[])
		and c.import_id is distinct from $1 and c.at > (select created_at from imports where id = $1)`, id, texts)
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

// grantIn returns the id of the grant that was recorded.
func grantIn(c db.Change) db.GrantID {
	var values struct {
		GrantID db.GrantID `json:"grantId"`
	}
	_ = json.Unmarshal(c.After, &values) // it is zero if the values were erased
	return values.GrantID
}

// usesText selects what users $1 have that works by their memberships: API keys that stand for
// them, or for which they answer, and sessions. OrgID is null where it works everywhere.
const usesText = `select user_id, org_id, created_at as at from api_keys where user_id = any($1)
	union all select responsible_user_id, null, created_at from api_keys where responsible_user_id = any($1)
	union all select user_id, org_id, last_used_at from sessions where user_id = any($1)`

// noteUses notes that somebody has changed users whom the import has made if they have API keys
// or sessions, and memberships that the import has made in which keys and sessions work.
func (d *Directory) noteUses(ctx context.Context, of map[db.UserID]*trace) error {
	ids := make([]db.UserID, 0, len(of))
	for id := range of {
		ids = append(ids, id)
	}
	uses, err := db.SelectByIndex[struct {
		UserID db.UserID
		OrgID  *db.OrganizationID
		At     time.Time
	}](ctx, d.db, usesText, ids)
	for _, use := range uses {
		t := of[use.UserID]
		t.entangled = true
		for i := range t.members {
			if m := &t.members[i]; m.joined && use.OrgID != nil && *use.OrgID == m.row.OrgID && use.At.After(m.row.JoinedAt) {
				m.touched = true
			}
		}
	}
	return err
}

// tracedGrant is a live grant that an import has made, with the key of what is granted.
type tracedGrant struct {
	liveGrant
	Key string
}

// revokeTraced revokes the grants that are still live.
func (w *write) revokeTraced(ctx context.Context, d *Directory, kind grantKind, grants []grantTrace) error {
	if len(grants) == 0 {
		return nil
	}
	orgs, users, ids := make([]db.OrganizationID, len(grants)), make([]db.UserID, len(grants)), make([]db.GrantID, len(grants))
	memberOf := make(map[db.GrantID]*db.Membership, len(grants))
	for i, g := range grants {
		orgs[i], users[i], ids[i], memberOf[g.id] = g.member.OrgID, g.member.UserID, g.id, g.member
	}
	const traced = " from unnest($1::uuid[], $2::uuid[], $3::uuid[]) x (org_id, user_id, id)"
	live, err := db.SelectByIndex[tracedGrant](ctx, d.db, "select g.id, g.user_id, g."+kind.column+" as target_id, g.starts_at, g.ends_at, g.reason, k.key"+traced+
		" join "+kind.table+" g on g.org_id = x.org_id and g.user_id = x.user_id and g.id = x.id and g.live join "+kind.keys+" k on k.id = g."+kind.column+
		" order by g.org_id, g.user_id, g."+kind.column+", g.granted_at, g.id for update of g", orgs, users, ids)
	if err != nil || len(live) == 0 {
		return err
	}
	for _, g := range live {
		g.member = memberOf[g.ID]
		if err := w.recordGrant(kind, kind.revoked, g.liveGrant, map[uuid.UUID]string{g.TargetID: g.Key}, nil); err != nil {
			return err
		}
	}
	w.Later("update "+kind.table+" g set "+endGrantText("$4", "$5")+traced+" where g.org_id = x.org_id and g.user_id = x.user_id and g.id = x.id and g.live",
		orgs, users, ids, w.At, w.actor.String())
	return nil
}

// broughtValues are the ways to sign in that the record of a user who was brought in names.
type broughtValues struct {
	Password   bool
	Identities []ForeignAccount
}

// revertUsers restores the values that users had before, and ends their suspensions.
func (d *Directory) revertUsers(ctx context.Context, w *write, u *withdrawal) error {
	if len(u.reverted) == 0 {
		return nil
	}
	before := make([]db.User, len(u.reverted))
	var ways waysIn
	var suspended []db.UserID
	for i, t := range u.reverted {
		before[i] = copyOf(t.user)
		suspends, err := t.revert(&ways)
		if err != nil {
			return err
		}
		if t.user.DeriveFrom(&before[i]); suspends {
			suspended = append(suspended, t.id)
		}
	}
	refused, err := d.mayNotRestore(ctx, w, suspended)
	if err != nil {
		return err
	}
	restored := map[db.UserID]bool{}
	for _, id := range suspended {
		if why, no := refused[id]; no {
			u.left[id] = staySuspended + why
		} else {
			restored[id] = true
		}
	}
	var edited []*db.User
	for i, t := range u.reverted {
		is, err := w.recordReverted(&before[i], t.user, restored[t.id])
		if err != nil {
			return err
		}
		if is {
			edited = append(edited, t.user)
		}
	}
	if err := w.removeWaysIn(ctx, ways); err != nil || len(edited) == 0 {
		return err
	}
	var b db.Batch
	w.updateUsers(&b, edited)
	return d.db.Run(ctx, &b)
}

// recordReverted records that a user has their values back, and that they are restored. It
// reports whether either is so.
func (w *write) recordReverted(before, user *db.User, restored bool) (edited bool, err error) {
	if edited = !onlyTouched(before, user); edited {
		if err := w.Record(changes.UserUpdated, user.ID.String(), nil, before, user); err != nil {
			return false, err
		}
	}
	if !restored {
		return edited, nil
	}
	user.Status = db.Active
	return true, w.Record(changes.UserRestored, user.ID.String(), nil, changes.Values{"status": db.Suspended}, changes.Values{"status": db.Active})
}

// waysIn are passwords and foreign accounts that an import has brought.
type waysIn struct {
	passwords           []db.UserID
	providers, subjects []string
	// owners are whose the accounts are.
	owners []db.UserID
}

func (ways *waysIn) addAccount(provider, subject string, owner db.UserID) {
	ways.providers, ways.subjects, ways.owners = append(ways.providers, provider), append(ways.subjects, subject), append(ways.owners, owner)
}

// copyOf returns a copy of the user that keeps its values when JSON is read into the user.
func copyOf(user *db.User) db.User {
	c := *user
	for _, text := range []**string{&c.Email, &c.Username, &c.Phone, &c.GivenName, &c.FamilyName, &c.PictureURL, &c.ExternalID} {
		if *text != nil {
			*text = new(**text)
		}
	}
	c.Properties = slices.Clone(c.Properties)
	return c
}

// revert restores the values that the user had before, in memory, and adds to ways how the
// import has let them in. It reports whether the import has suspended the user.
func (t *trace) revert(ways *waysIn) (suspends bool, err error) {
	for _, c := range slices.Backward(t.brought) {
		switch changes.ActionByName(c.Action) {
		case changes.UserSuspended:
			suspends = t.user.Status == db.Suspended
		case changes.UserImported:
			var after broughtValues
			if err := json.Unmarshal(c.After, &after); err != nil {
				return false, err
			}
			if err := json.Unmarshal(c.Before, t.user); err != nil { // which has just what was changed
				return false, err
			}
			if after.Password {
				ways.passwords = append(ways.passwords, t.id)
				ways.addAccount(db.PasswordProvider, t.id.String(), t.id)
			}
			for _, account := range after.Identities {
				ways.addAccount(account.Provider, account.Subject, t.id)
			}
		}
	}
	return suspends, nil
}

// removeWaysIn removes passwords and foreign accounts.
func (w *write) removeWaysIn(ctx context.Context, ways waysIn) error {
	if len(ways.owners) == 0 {
		return nil
	}
	if _, err := w.ExecContext(ctx, "delete from passwords where user_id = any(?)", idArray(ways.passwords)); err != nil {
		return err
	}
	var removed []db.Identity
	err := w.NewRaw(`delete from identities i using unnest(?::text[], ?::text[], ?::uuid[]) a (provider, subject, user_id)
		where i.provider = a.provider and i.subject = a.subject and i.user_id = a.user_id returning i.provider, i.user_id`,
		pgdialect.Array(ways.providers), pgdialect.Array(ways.subjects), idArray(ways.owners)).Scan(ctx, &removed)
	if err != nil {
		return err
	}
	for _, identity := range removed {
		if err := w.Record(changes.UserIdentityUnlinked, identity.UserID.String(), nil, changes.Values{"provider": identity.Provider}, nil); err != nil {
			return err
		}
	}
	return nil
}
