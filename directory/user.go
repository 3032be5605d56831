package directory

import (
	"context"
	"encoding/json"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// UserFilter narrows a list of users; fields that are nil do not matter.
type UserFilter struct {
	Search        *string
	Status        *db.Status
	Organization  *OrganizationRef
	CreatedAfter  *time.Time
	CreatedBefore *time.Time
}

// UserOrder sorts a list of users.
type UserOrder struct {
	Field     list.OrderField
	Direction list.Direction
}

var userOrders = map[list.OrderField]list.Key[db.User]{
	"CREATED_AT": {
		Name: "CREATED_AT", Expression: "u.created_at", Column: "created_at", Type: list.Time,
		Value: func(u *db.User) string { return list.TimeValue(&u.CreatedAt) },
	},
	"EMAIL": {
		Name: "EMAIL", Expression: "coalesce(u.email_key, '')", Column: "email_key", Type: list.Text,
		Value: func(u *db.User) string { return textValue(u.EmailKey) },
	},
	"NAME": {
		Name: "NAME", Expression: "u.name_key", Column: "name_key", Type: list.Text,
		Value: func(u *db.User) string { return u.NameKey },
	},
	"LAST_SIGNED_IN_AT": {
		Name: "LAST_SIGNED_IN_AT", Expression: "coalesce(u.last_signed_in_at, '-infinity')", Column: "last_signed_in_at", Type: list.Time,
		Value: func(u *db.User) string { return list.TimeValue(u.LastSignedInAt) },
	},
}

func textValue(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// visibleUsers returns conditions on the users whom the actor may see: all that
// exist, or the members of one organization.
func visibleUsers(ctx context.Context) ([]list.Clause, error) {
	org, err := access.ScopeOf(ctx, access.UsersRead)
	if err != nil {
		return nil, err
	}
	conditions := []list.Clause{list.Where("u.deleted_at is null")}
	if org != nil {
		conditions = append(conditions, memberOf(*org))
	}
	return conditions, nil
}

func memberOf(org db.OrganizationID) list.Clause {
	return list.Where("exists (select from memberships m where m.org_id = ? and m.user_id = u.id)", org)
}

// Users returns a page of the users whom the actor may see, with the columns of
// fields. Without an order they are sorted by time of creation.
func (d *Directory) Users(ctx context.Context, page list.Page, filter *UserFilter, by *UserOrder, fields list.Fields) (*list.Connection[db.User], error) {
	conditions, err := visibleUsers(ctx)
	if err != nil {
		return nil, err
	}
	if filter != nil {
		narrower, err := d.userConditions(ctx, filter)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, narrower...)
	}
	if by == nil {
		by = &UserOrder{Field: "CREATED_AT"}
	}
	return list.Query[db.User]{
		Name: "users", From: "users u", Alias: "u", Columns: db.Columns[db.User](d.db, fields), Conditions: conditions,
		Key: userOrders[by.Field], Descending: by.Direction == list.Descending,
		ID: func(u *db.User) uuid.UUID { return uuid.UUID(u.ID) },
	}.Page(ctx, d.db, page)
}

func (d *Directory) userConditions(ctx context.Context, filter *UserFilter) ([]list.Clause, error) {
	var conditions []list.Clause
	if filter.Search != nil {
		search, err := list.Search("u.search", "filter.search", *filter.Search)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, search...)
	}
	if filter.Status != nil {
		conditions = append(conditions, list.Filter("u.status = ?", *filter.Status))
	}
	if filter.CreatedAfter != nil {
		conditions = append(conditions, list.Filter("u.created_at > ?", *filter.CreatedAfter))
	}
	if filter.CreatedBefore != nil {
		conditions = append(conditions, list.Filter("u.created_at < ?", *filter.CreatedBefore))
	}
	if filter.Organization != nil {
		org, err := d.Organization(ctx, *filter.Organization, list.Fields{"id"})
		if err != nil {
			return nil, err
		}
		if org == nil {
			return nil, problem.At(problem.NotFound, "filter.organization", "There is no such organization.")
		}
		conditions = append(conditions, memberOf(org.ID))
	}
	return conditions, nil
}

// User returns a user whom the actor may see; nil if there is no such user.
func (d *Directory) User(ctx context.Context, by UserRef, fields list.Fields) (*db.User, error) {
	conditions, err := visibleUsers(ctx)
	if err != nil {
		return nil, err
	}
	return lookUpRow[db.User](ctx, d, "users", "u", conditions, by.lookUp(), fields)
}

// UsersByID reads users who were reached through something that the actor may see.
// Their order is undefined. Tombstones are included, because history refers to them.
func (d *Directory) UsersByID(ctx context.Context, ids []db.UserID, fields list.Fields) ([]db.User, error) {
	return db.Select[db.User](ctx, d.db, "select "+list.Columns[db.User](d.db, "u", fields)+" from users u where u.id = any($1)", ids)
}

// Identities returns the ways in which each of the users signs in, in the order of
// the users.
func (d *Directory) Identities(ctx context.Context, users []db.UserID) ([][]*db.Identity, error) {
	if _, err := access.ScopeOf(ctx, access.UsersRead); err != nil && !access.ActorOf(ctx).Is(users...) {
		return nil, err
	}
	rows, err := db.Select[db.Identity](ctx, d.db, `select coalesce(ip.key, i.provider) as provider, i.user_id, i.id, i.email, i.last_signed_in_at, i.created_at,
			case when i.provider = '`+db.PasswordProvider+`' then coalesce(u.email, u.username, i.subject) else i.subject end as subject
		from identities i join users u on u.id = i.user_id left join identity_providers ip on ip.id = i.provider_id where i.user_id = any($1) order by i.created_at, i.provider, i.subject`, users)
	if err != nil {
		return nil, err
	}
	of := make(map[db.UserID][]*db.Identity, len(users))
	for i := range rows {
		of[rows[i].UserID] = append(of[rows[i].UserID], &rows[i])
	}
	all := make([][]*db.Identity, len(users))
	for i, id := range users {
		all[i] = of[id]
	}
	return all, nil
}

// CreateUserInput describes a new user, who needs at least one of Email, Username,
// Phone and ExternalID.
type CreateUserInput struct {
	Email, Username, Phone, GivenName, FamilyName, PictureURL, ExternalID *string
	Properties                                                            json.RawMessage
	// Password is for signin.Service.CreateUserWithPassword, which hashes it.
	Password *string
	// PasswordHash is a hash that credential.CheckHash takes.
	PasswordHash *string
	// PasswordFaults are what is wrong with the password, which is told with the rest.
	PasswordFaults []*problem.Error
	// Organizations are the ones to join; nil means the default one.
	Organizations []*OrganizationRef
	// Roles are granted in each organization; nil means its default ones.
	Roles []*RoleRef
}

// CreateUser creates a user who belongs to the organizations. The actor must also be
// allowed to add members to each of them, unless that is the default one and the user
// gets no roles but the default ones.
func (d *Directory) CreateUser(ctx context.Context, in CreateUserInput) (*db.User, error) {
	var user *db.User
	err := d.change(ctx, access.UsersWrite, func(ctx context.Context, w *write) error {
		user = w.faults.newUser(in)
		user.CreatedAt, user.UpdatedAt = w.At, w.At
		organizations, err := d.organizationsForNewUser(ctx, w, in.Organizations)
		if err != nil {
			return err
		}
		roles, err := d.rolesToGrant(ctx, w, in.Roles)
		if err != nil {
			return err
		}
		if err := w.mayPlace(organizations, len(roles) > 0); err != nil {
			return err
		}
		items, err := d.grantItems(ctx, w, roles, nil, nil)
		if err != nil {
			return err
		}
		allowances := make([]access.Allowance, len(organizations))
		for i, org := range organizations {
			if allowances[i], err = d.allowGrants(ctx, w, access.MembersWrite, org, items); err != nil {
				return err
			}
		}
		if err := w.insert(ctx, user); err != nil {
			return err
		}
		if in.PasswordHash != nil {
			if err := d.addPasswords(ctx, []*db.Password{{UserID: user.ID, Hash: *in.PasswordHash, ChangedAt: w.At}}); err != nil {
				return err
			}
		}
		if err := w.Record(changes.UserCreated, user.ID.String(), nil, nil, importedUser{User: user, Password: in.PasswordHash != nil}); err != nil {
			return err
		}
		for i, org := range organizations {
			if _, err := d.join(ctx, w, org, newcomers(user.ID), roles, allowances[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return user, err
}

// mayPlace returns FORBIDDEN if the actor must not add members to one of the
// organizations. Anybody who creates users may put them into the default one, but must be
// allowed to grant what they are given there.
func (w *write) mayPlace(organizations []*db.Organization, withRoles bool) error {
	for _, org := range organizations {
		if org.IsDefault && !withRoles {
			continue
		}
		if err := w.mayAddMembers(org); err != nil {
			return err
		}
	}
	return nil
}

// mayAddMembers returns FORBIDDEN if the actor must not add members to the organization.
func (w *write) mayAddMembers(org *db.Organization) error {
	if w.actor.Holds(access.MembersWrite, org.ID) {
		return nil
	}
	return access.Forbidden(access.MembersWrite)
}

func (f *faults) newUser(in CreateUserInput) *db.User {
	user := &db.User{
		ID:         db.NewID[db.UserKind](),
		Email:      f.email("input.email", in.Email),
		Username:   f.username("input.username", in.Username),
		Phone:      f.phone("input.phone", in.Phone),
		GivenName:  f.text("input.givenName", in.GivenName, maxName),
		FamilyName: f.text("input.familyName", in.FamilyName, maxName),
		PictureURL: f.url("input.pictureUrl", in.PictureURL),
		ExternalID: f.identifier("input.externalId", in.ExternalID, maxExternalID),
		Properties: f.properties("input.properties", in.Properties),
		Status:     db.Active,
		Version:    1,
	}
	if in.Password != nil {
		f.Add(problem.Invalid, "input.password", "A password comes with createUser, alone in its document. Elsewhere, use its hash.")
	}
	*f.List = append(*f.List, in.PasswordFaults...)
	f.passwordHash("input.passwordHash", in.PasswordHash)
	f.identified(user)
	user.Derive()
	return user
}

// identified adds a fault if the user has nothing to be found by. It adds none for
// a user who does not exist (see changeUser), nor if one of these fields has a fault.
func (f *faults) identified(user *db.User) {
	if user.Version > 0 && user.Email == nil && user.Username == nil && user.Phone == nil && user.ExternalID == nil &&
		!f.about("input.email", "input.username", "input.phone", "input.externalId") {
		f.Add(problem.Invalid, "input", "A user needs an email address, a username, a phone number or an external id.")
	}
}

// UpdateUserInput changes the fields that are set; null empties one.
type UpdateUserInput struct {
	User UserRef
	// IfVersion is the version that the user must have.
	IfVersion                                                             *int
	Email, Username, Phone, GivenName, FamilyName, PictureURL, ExternalID graphql.Omittable[*string]
	Properties                                                            graphql.Omittable[json.RawMessage]
}

// UpdateUser changes a user's profile. An email address that changes is no
// longer verified. To change what a user is found by, the actor must outrank them.
func (d *Directory) UpdateUser(ctx context.Context, in UpdateUserInput) (*db.User, error) {
	return d.changeUser(ctx, UserActionInput{User: in.User}, changes.UserUpdated, func(ctx context.Context, w *write, user *db.User) error {
		f, before := &w.faults, identityOf(user)
		f.version(in.IfVersion, user.Version)
		email, emailKey := textValue(user.Email), textValue(user.EmailKey)
		editText(f.email, "input.email", in.Email, &user.Email)
		editText(f.username, "input.username", in.Username, &user.Username)
		editText(f.phone, "input.phone", in.Phone, &user.Phone)
		editText(of(f.text, maxName), "input.givenName", in.GivenName, &user.GivenName)
		editText(of(f.text, maxName), "input.familyName", in.FamilyName, &user.FamilyName)
		editText(f.url, "input.pictureUrl", in.PictureURL, &user.PictureURL)
		editText(of(f.identifier, maxExternalID), "input.externalId", in.ExternalID, &user.ExternalID)
		f.setProperties("input.properties", in.Properties, &user.Properties)
		f.identified(user)
		if now := textValue(user.Email); now != email && db.EmailKey(now) != emailKey {
			user.EmailVerified = false
		}
		if identityOf(user) == before {
			return nil
		}
		return d.outrank(ctx, w, user.ID, nil, "input.user")
	})
}

// identity is what a user is found by, and will sign in with.
type identity struct {
	email, username, phone, externalID string
	// emailVerified decides how much is asked of those who come by the address.
	emailVerified bool
}

func identityOf(user *db.User) identity {
	return identity{textValue(user.Email), textValue(user.Username), textValue(user.Phone), textValue(user.ExternalID), user.EmailVerified}
}

// version adds a fault unless the version is the one that the caller expects. An
// object that does not exist has version 0.
func (f *faults) version(expected *int, actual int) {
	if expected != nil && actual > 0 && *expected != actual {
		f.Add(problem.Conflict, "input.ifVersion", "It was changed in between: its version is %d, not %d.", actual, *expected)
	}
}

// UserActionInput names the user to act upon.
type UserActionInput struct {
	User UserRef
	// Reason is why, for the log of changes.
	Reason *string
}

// userValues are the values of a user in the log of changes, and the reason of what was
// done.
type userValues struct {
	*db.User
	Reason *string `json:"reason,omitempty"`
}

// SuspendUser takes away everything that the user may do, until the user is
// restored. The actor must outrank the user.
func (d *Directory) SuspendUser(ctx context.Context, in UserActionInput) (*db.User, error) {
	return d.changeUser(ctx, in, changes.UserSuspended, func(ctx context.Context, w *write, user *db.User) error {
		user.Status = db.Suspended
		return d.outrank(ctx, w, user.ID, nil, "input.user")
	})
}

// RestoreUser ends a suspension: the user's grants count again, so the actor must
// outrank the user, and be allowed to hand out what they are.
func (d *Directory) RestoreUser(ctx context.Context, in UserActionInput) (*db.User, error) {
	return d.changeUser(ctx, in, changes.UserRestored, func(ctx context.Context, w *write, user *db.User) error {
		if err := d.outrank(ctx, w, user.ID, nil, "input.user"); err != nil || w.faults.about("input.user") || user.Status == db.Active {
			return err
		}
		user.Status = db.Active
		return d.mayRestore(ctx, w, access.UsersWrite, suspensionOfUser("$1"), user.ID)
	})
}

// changeUser calls edit to change the user's row, and records the action if the row
// has changed. If there is no such user, edit gets an empty row, so that the rest of
// the input is checked as well.
func (d *Directory) changeUser(ctx context.Context, in UserActionInput, action changes.Action, edit func(ctx context.Context, w *write, user *db.User) error) (*db.User, error) {
	var user *db.User
	err := d.change(ctx, access.UsersWrite, func(ctx context.Context, w *write) error {
		if action == changes.UserSuspended {
			if err := d.interruptUser(ctx, in.User); err != nil {
				return err
			}
		}
		var err error
		if user, err = d.lockUser(ctx, w, in.User); err != nil {
			return err
		}
		if user == nil {
			user = &db.User{}
		}
		before := *user
		if err := edit(ctx, w, user); err != nil {
			return err
		}
		user.DeriveFrom(&before)
		return w.updateUser(ctx, user, action, &before, w.faults.prose("input.reason", in.Reason, maxReason))
	})
	return user, err
}

// updateUser is update for a user. The record has the reason, if there is one.
func (w *write) updateUser(ctx context.Context, user *db.User, action changes.Action, before *db.User, reason *string) error {
	return w.updateAs(ctx, user, action, user.ID.String(), before, userValues{user, reason}, func() { user.Version, user.UpdatedAt = user.Version+1, w.At })
}

// DeleteUser erases the user's personal data, also in the log of changes, and what
// others have written about the user, and ends everything that the user held. A
// tombstone remains, because history refers to it. The actor must outrank the user.
func (d *Directory) DeleteUser(ctx context.Context, in UserActionInput) ([]string, error) {
	var id string
	err := d.change(ctx, access.UsersWrite, func(ctx context.Context, w *write) error {
		if err := d.interruptUser(ctx, in.User); err != nil {
			return err
		}
		reason := w.faults.prose("input.reason", in.Reason, maxReason)
		user, err := d.lockUser(ctx, w, in.User)
		if user == nil || err != nil {
			return err
		}
		id = user.ID.String()
		if err := d.outrank(ctx, w, user.ID, nil, "input.user"); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		if err := d.eraseWords(ctx, w, user.ID); err != nil {
			return err
		}
		invited := *user
		if err := d.deleteUsers(ctx, w, []*db.User{user}, reason); err != nil {
			return err
		}
		return w.eraseInvitations(ctx, &invited)
	})
	return []string{id}, err
}

// interruptUser interrupts what the user's API keys are doing, because the write is going
// to end what they may do.
func (d *Directory) interruptUser(ctx context.Context, by UserRef) error {
	users, err := d.findUsers(ctx, []*UserRef{&by}, nil, "")
	if err != nil || users[0] == nil {
		return err
	}
	return d.interrupt(ctx, userParty(users[0].ID))
}

// lockUser returns the user, locked for a write until the end of the transaction. If
// there is no such user, it returns nil and adds a fault.
func (d *Directory) lockUser(ctx context.Context, w *write, by UserRef) (*db.User, error) {
	users, err := d.lockUsers(ctx, w, []*UserRef{&by}, "input.user")
	if err != nil {
		return nil, err
	}
	return users[0], nil
}
