package directory

import (
	"context"
	"reflect"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// Profile is what an identity provider says of a person. What it does not say is empty.
type Profile struct {
	Email, Name, GivenName, FamilyName, PictureURL string
}

// Clean returns the profile without what a user cannot have, such as a picture that is at
// no address. Somebody who has one name for all is known by it as the given name.
func (p Profile) Clean() Profile {
	f := faults{&problem.List{}}
	if p.GivenName == "" && p.FamilyName == "" {
		p.GivenName = p.Name
	}
	keep := func(text *string, check func(field string, value *string) *string) {
		before := len(*f.List)
		clean := check("", text)
		if *text = textValue(clean); len(*f.List) > before {
			*text = ""
		}
	}
	keep(&p.Email, f.email)
	keep(&p.Name, of(f.text, 2*maxName))
	keep(&p.GivenName, of(f.text, maxName))
	keep(&p.FamilyName, of(f.text, maxName))
	keep(&p.PictureURL, f.url)
	return p
}

// Synced is what has come of syncing a profile.
type Synced struct {
	// OldEmail is the address that has made room for another; nil if none has.
	OldEmail *string
	// EmailTaken is true if another user has the address.
	EmailTaken bool
}

// syncedUser are the values of a user whose profile was synced, in the log of changes.
type syncedUser struct {
	*db.User
	// EmailTaken is true if the address was not changed, since another user has it.
	EmailTaken bool `json:"emailTaken,omitempty"`
}

// SyncProfile takes over what a provider says of the user: names and picture, and the address
// if the profile has one, which then is proven. An address that another user has is left to
// them; the change says so, if there is another one or say is true. Nothing else of the
// user is touched. The profile must be Clean.
func (d *Directory) SyncProfile(ctx context.Context, user db.UserID, by string, in Profile, say bool) (synced Synced, err error) {
	ctx = access.WithActor(ctx, access.System(by))
	err = d.write(ctx, func(ctx context.Context, w *write) error {
		synced = Synced{}
		row, err := db.SelectOne[db.User](ctx, d.db, "select * from users where id = $1 and deleted_at is null "+forChange, user)
		if err != nil || row == nil {
			return err
		}
		before := *row
		in.rename(row)
		if in.PictureURL != "" {
			row.PictureURL = &in.PictureURL
		}
		if synced, err = d.syncEmail(ctx, row, in.Email); err != nil {
			return err
		}
		row.DeriveFrom(&before)
		if isSame := reflect.DeepEqual(before, *row); isSame && (!synced.EmailTaken || !say) {
			return nil
		} else if !isSame {
			row.Version, row.UpdatedAt = row.Version+1, w.At
			if err := w.save(ctx, row); err != nil {
				return err
			}
		}
		return w.Record(changes.UserUpdated, user.String(), nil, syncedUser{User: &before}, syncedUser{row, synced.EmailTaken})
	})
	return synced, err
}

// rename sets the names of the user to those of the profile, as far as it has them.
func (p *Profile) rename(user *db.User) {
	switch {
	case p.GivenName == p.Name && p.FamilyName == "" && p.Name == user.Name: // it is the given name for want of others
	case p.GivenName == p.Name && p.FamilyName == "" && p.Name != "":
		user.GivenName, user.FamilyName = &p.GivenName, nil
	default:
		if p.GivenName != "" {
			user.GivenName = &p.GivenName
		}
		if p.FamilyName != "" {
			user.FamilyName = &p.FamilyName
		}
	}
}

// syncEmail sets the address of the user, unless another one has it.
func (d *Directory) syncEmail(ctx context.Context, user *db.User, email string) (synced Synced, err error) {
	key := db.EmailKey(email)
	switch {
	case email == "":
		return synced, nil
	case textValue(user.EmailKey) == key:
		user.EmailVerified = true
		return synced, nil
	}
	taken, err := db.SelectOne[bool](ctx, d.db, "select true from users where email_key = $1 and deleted_at is null", key)
	if err != nil || taken != nil {
		return Synced{EmailTaken: taken != nil}, err
	}
	synced.OldEmail = user.Email
	user.Email, user.EmailVerified = &email, true
	return synced, nil
}

// Admit makes the user a member of the organization, with its default roles, unless they
// are one.
func (d *Directory) Admit(ctx context.Context, user db.UserID, org db.OrganizationID) error {
	return d.write(access.WithActor(ctx, access.System("sign-in")), func(ctx context.Context, w *write) error {
		row, err := db.SelectOne[db.Organization](ctx, d.db, "select * from organizations where id = $1 and status = 'ACTIVE' and deleted_at is null "+forMembers, org)
		if err != nil || row == nil {
			return err
		}
		_, err = d.join(ctx, w, row, newcomers(user), nil, access.Allowance{})
		return err
	})
}
