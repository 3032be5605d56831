package directory

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// Arrive puts the arrivals in, in one transaction, and returns what has become of each, in
// their order: one that fails leaves no trace, and the others are put in. Whatever is done to
// one user is one change. The actor must be allowed to write users, to add members to each
// of the places, and to hand out what is granted there; somebody new comes to the default
// organization anyway. It returns CONFLICT if somebody else was put in at the same moment, and
// LAST_ADMINISTRATOR if the last administrator was to be suspended: then nothing is
// changed.
//
// However many arrive, it takes a fixed number of statements.
func (d *Directory) Arrive(ctx context.Context, arrivals []*Arrival, on OnConflict) ([]Arrived, error) {
	var all []Arrived
	err := d.change(ctx, access.UsersWrite, func(ctx context.Context, w *write) error {
		m, err := d.meet(ctx, arrivals, on)
		if err != nil {
			return err
		}
		if err := w.ReadClock(ctx); err != nil {
			return err
		}
		all = make([]Arrived, len(arrivals))
		for i, a := range arrivals {
			all[i] = m.take(a)
		}
		return w.putIn(ctx, d, m)
	})
	return all, err
}

// putIn writes what has become of the people.
func (w *write) putIn(ctx context.Context, d *Directory, m *meeting) error {
	people := m.changed()
	if err := d.giveDefaults(ctx, m, people); err != nil {
		return err
	}
	var b db.Batch
	w.writeUsers(&b, people)
	w.writeMembers(&b, people)
	if err := d.db.Run(ctx, &b); err != nil {
		return err
	}
	if err := w.writeWaysIn(ctx, d, people); err != nil {
		return err
	}
	for _, p := range people {
		if err := w.recordUser(m, p); err != nil {
			return err
		}
	}
	return w.writeGiven(m, people)
}

// changed returns the people of whom something is to be written, in the order of their ids.
func (m *meeting) changed() []*arriving {
	var people []*arriving
	for _, p := range m.people {
		if !p.elsewhere {
			people = append(people, p)
		}
	}
	slices.SortFunc(people, func(a, b *arriving) int { return strings.Compare(string(a.user.ID[:]), string(b.user.ID[:])) })
	return people
}

// giveDefaults adds the default roles for people who join without any role.
func (d *Directory) giveDefaults(ctx context.Context, m *meeting, people []*arriving) error {
	var orgs []db.OrganizationID
	for _, p := range people {
		for _, org := range p.joined {
			if member := p.members[org]; member.isNew && member.defaults {
				orgs = append(orgs, org)
			}
		}
	}
	if len(orgs) == 0 {
		return nil
	}
	defaults, err := d.defaultRolesIn(ctx, distinct(orgs))
	if err != nil {
		return err
	}
	for _, p := range people {
		for _, org := range p.joined {
			member := p.members[org]
			if !member.isNew || !member.defaults {
				continue
			}
			for _, role := range raw(defaults[org]) {
				if !member.held[role] {
					member.held[role] = true
					member.given[roleGrants.name] = append(member.given[roleGrants.name], role)
				}
			}
		}
	}
	for org, roles := range defaults {
		by := access.AllowDefaults(org, roles)
		for _, role := range raw(roles) {
			if name := (handoutName{org, role}); !m.allowed[name].by.Covers(&org, nil, role) {
				m.allowed[name] = allowed{by: by}
			}
		}
	}
	return nil
}

// writeUsers adds the statements that write users who are new or have changed.
func (w *write) writeUsers(b *db.Batch, people []*arriving) {
	var added, edited []*db.User
	for _, p := range people {
		if p.suspends {
			p.user.Status = db.Suspended
		}
		switch {
		case p.before == nil:
			p.user.CreatedAt, p.user.UpdatedAt = w.At, w.At
			added = append(added, p.user)
		case !reflect.DeepEqual(p.before, p.user):
			p.user.Version, p.user.UpdatedAt = p.user.Version+1, w.At
			edited = append(edited, p.user)
		}
	}
	if len(added) > 0 {
		w.insertUsers(b, added)
	}
	if len(edited) > 0 {
		w.updateUsers(b, edited)
	}
}

// manyUsersText is the table n of users whose columns userColumns returns, from $2 on.
const manyUsersText = ` from unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
	$12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[]) as n (id, email, email_key, email_verified, username, username_key,
	phone, given_name, family_name, name, name_key, picture_url, external_id, external_id_key, status, properties, search)`

// insertUsers adds the statement that writes new users.
func (w *write) insertUsers(b *db.Batch, users []*db.User) {
	b.Exec(`insert into users (id, email, email_key, email_verified, username, username_key, phone, given_name, family_name, name, name_key,
		picture_url, external_id, external_id_key, status, properties, search, created_at, updated_at)
	select id, email, email_key, email_verified, username, username_key, phone, given_name, family_name, name, name_key,
		picture_url, external_id, external_id_key, status, properties::jsonb, search, $1, $1`+manyUsersText, append([]any{w.At}, userColumns(users)...)...)
}

// updateUsers adds the statement that writes users who have changed.
func (w *write) updateUsers(b *db.Batch, users []*db.User) {
	b.Exec(`update users u set email = n.email, email_key = n.email_key, email_verified = n.email_verified, username = n.username,
		username_key = n.username_key, phone = n.phone, given_name = n.given_name, family_name = n.family_name, name = n.name, name_key = n.name_key,
		picture_url = n.picture_url, external_id = n.external_id, external_id_key = n.external_id_key, status = n.status, properties = n.properties::jsonb,
		search = n.search, version = u.version + 1, updated_at = $1`+manyUsersText+` where u.id = n.id`, append([]any{w.At}, userColumns(users)...)...)
}

// userColumns returns the columns of users as arrays.
func userColumns(users []*db.User) []any {
	n := len(users)
	ids, verified := make([]db.UserID, n), make([]bool, n)
	var texts [15][]*string
	for column := range texts {
		texts[column] = make([]*string, n)
	}
	for i, u := range users {
		ids[i], verified[i] = u.ID, u.EmailVerified
		status, properties := string(u.Status), string(u.Properties)
		for column, text := range []*string{
			u.Email, u.EmailKey, u.Username, u.UsernameKey, u.Phone, u.GivenName, u.FamilyName, &u.Name, &u.NameKey,
			u.PictureURL, u.ExternalID, u.ExternalIDKey, &status, &properties, &u.Search,
		} {
			texts[column][i] = text
		}
	}
	columns := []any{ids, texts[0], texts[1], verified}
	for _, column := range texts[2:] {
		columns = append(columns, column)
	}
	return columns
}

// writeMembers adds the statement that writes new memberships.
func (w *write) writeMembers(b *db.Batch, people []*arriving) {
	var ids []db.MembershipID
	var orgs []db.OrganizationID
	var users []db.UserID
	for _, p := range people {
		for _, org := range p.joined {
			if member := p.members[org]; member.isNew {
				member.row.JoinedAt = w.At
				ids, orgs, users = append(ids, member.row.ID), append(orgs, org), append(users, p.user.ID)
			}
		}
	}
	if len(ids) > 0 {
		b.Exec("insert into memberships (id, org_id, user_id, joined_at) select id, org_id, user_id, $1 from unnest($2::uuid[], $3::uuid[], $4::uuid[]) n (id, org_id, user_id)",
			w.At, ids, orgs, users)
	}
}

// writeWaysIn writes passwords and foreign accounts.
func (w *write) writeWaysIn(ctx context.Context, d *Directory, people []*arriving) error {
	var passwords []*db.Password
	var identities []*db.Identity
	for _, p := range people {
		if p.hash != "" {
			passwords = append(passwords, &db.Password{UserID: p.user.ID, Hash: p.hash, ChangedAt: w.At})
		}
		for _, account := range p.accounts {
			identities = append(identities, &db.Identity{
				ID: db.NewID[db.IdentityKind](), Provider: account.Provider, Subject: account.Subject, UserID: p.user.ID, Email: nullText(account.Email), CreatedAt: w.At,
			})
		}
	}
	if err := d.addPasswords(ctx, passwords); err != nil || len(identities) == 0 {
		return err
	}
	_, err := w.NewInsert().Model(&identities).On("conflict do nothing").Exec(ctx)
	return err
}

// nullText returns a pointer to the text, or nil for an empty one.
func nullText(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// importedUser are the values of somebody who was brought in, in the log of changes.
type importedUser struct {
	*db.User
	// Password is true if the hash of a password was brought in, and Identities are the
	// foreign accounts that were.
	Password   bool             `json:"password,omitempty"`
	Identities []ForeignAccount `json:"identities,omitempty"`
}

// recordUser records what has become of the user. History has a suspension only as
// something that was done to a user.
func (w *write) recordUser(m *meeting, p *arriving) error {
	active := *p.user
	if p.suspends {
		active.Status = db.Active
	}
	after := importedUser{&active, p.hash != "", p.accounts}
	id := p.user.ID.String()
	var err error
	switch {
	case p.before == nil:
		err = w.Record(m.actions.made, id, nil, nil, after)
	case !reflect.DeepEqual(*p.before, active) && !onlyTouched(p.before, &active) || after.Password || len(after.Identities) > 0:
		err = w.Record(m.actions.edited, id, nil, importedUser{User: p.before}, after)
	}
	if err != nil || !p.suspends {
		return err
	}
	return w.Record(changes.UserSuspended, id, nil, changes.Values{"status": db.Active}, changes.Values{"status": db.Suspended})
}

// onlyTouched reports whether nothing but bookkeeping tells two states of a user apart.
func onlyTouched(before, after *db.User) bool {
	same := *after
	same.Version, same.UpdatedAt = before.Version, before.UpdatedAt
	return reflect.DeepEqual(*before, same)
}

// writeGiven grants what is given to the members. A new member's grants are a part of the
// record of the member.
func (w *write) writeGiven(m *meeting, people []*arriving) error {
	for _, p := range people {
		for _, org := range p.joined {
			if member := p.members[org]; member.isNew {
				if err := w.recordImported(m, member); err != nil {
					return err
				}
			}
		}
	}
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		var fresh, beside []newGrant
		keys := map[uuid.UUID]string{}
		for _, p := range people {
			for _, org := range p.joined {
				member := p.members[org]
				for _, target := range member.given[kind.name] {
					if err := covered(m.allow(org, access.Item{ID: target}).by, &org, nil, target); err != nil {
						return err
					}
					keys[target] = m.keyOf(kind, target)
					grant := newGrant{member.row, target, term{startsAt: w.At}}
					if member.isNew && m.actions.together {
						fresh = append(fresh, grant)
					} else {
						beside = append(beside, grant)
					}
				}
			}
		}
		w.writeGrants(kind, fresh, grantIDs(len(fresh)))
		if err := w.insertGrants(kind, beside, keys); err != nil {
			return err
		}
	}
	return nil
}

// recordImported records a new member, with what is granted to them.
func (w *write) recordImported(m *meeting, member *joining) error {
	values := memberValues(*member.row)
	if !m.actions.together {
		return w.recordJoined(*member.row)
	}
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		keys := make([]string, len(member.given[kind.name]))
		for i, target := range member.given[kind.name] {
			keys[i] = m.keyOf(kind, target)
		}
		values[kind.name+"s"] = keys
	}
	return w.Record(m.actions.joined, member.row.ID.String(), &member.row.OrgID, nil, values)
}

// keyOf returns the key of a role or permission.
func (m *meeting) keyOf(kind grantKind, target uuid.UUID) string {
	if kind.table == roleGrants.table {
		return m.catalogue.Role(db.RoleID(target)).Key
	}
	return m.catalogue.Permission(db.PermissionID(target)).Key
}
