package directory

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// This file holds what package signin needs of the rules about people and organizations.
// Nobody has a permission yet who signs up: whether they may is asked there.

// SetClock sets the clock by which sessions end. Call it before the first request.
func (d *Directory) SetClock(clock func() time.Time) { d.clock = clock }

// Key returns the column by which the reference looks a user up, and the value in it. It
// returns false if nobody can have it.
func (r UserRef) Key() (column, key string, ok bool) {
	look := r.lookUp()
	key, isText := look.value.(string)
	return look.column, key, look.ok && isText
}

// OrganizationID returns the id of the organization, or zero if it does not exist, whoever
// asks.
func (d *Directory) OrganizationID(ctx context.Context, ref OrganizationRef) (db.OrganizationID, error) {
	_, ids, err := d.idsOf(ctx, nil, looksOf([]*OrganizationRef{&ref}), nil)
	if err != nil {
		return db.OrganizationID{}, err
	}
	return ids[0], nil
}

// Newcomer returns the user whom the input describes, who is not stored. It returns the
// faults of the input.
func (d *Directory) Newcomer(in CreateUserInput) (*db.User, error) {
	var list problem.List
	f := faults{&list}
	user := f.newUser(in)
	return user, list.Err()
}

// CheckOrganizationName returns INVALID at field for a name that no organization can have.
func (d *Directory) CheckOrganizationName(field, name string) error {
	var list problem.List
	f := faults{&list}
	f.name(field, name)
	return list.Err()
}

// openText selects an organization that somebody with an address of the domain $2 may join.
const openText = `select id from organizations where id = $1 and id <> $3 and status = 'ACTIVE' and deleted_at is null
	and (allow_self_sign_up or $2 = any(auto_join_domains))`

// OpenOrganization returns the id of the organization if somebody with that address, which
// is proven, may join it by themselves; nil if not.
func (d *Directory) OpenOrganization(ctx context.Context, ref OrganizationRef, email string) (*db.OrganizationID, error) {
	id, err := d.OrganizationID(ctx, ref)
	if err != nil {
		return nil, err
	}
	return db.SelectOne[db.OrganizationID](ctx, d.db, openText, id, domainOfAddress(email), db.Root)
}

// domainOfAddress returns the domain of an address, as organizations keep theirs.
func domainOfAddress(email string) string {
	key := db.EmailKey(email)
	return key[strings.LastIndexByte(key, '@')+1:]
}

// NewPerson is a person who signs up, and has proven their address.
type NewPerson struct {
	Email                             string
	GivenName, FamilyName, PictureURL *string
	// Organization is the one to join, if it is open to the address.
	Organization *db.OrganizationID
	// CreateOrganization is the name of an organization to be made.
	CreateOrganization *string
}

// SignUp makes a user of a person who signs up, on behalf of the part of the server that
// lets them. The user joins the organization that was named, if it is open, and those that
// their domain leads to; without any, the default one. In each they get the default
// roles. Whoever makes an organization administers it; its id is returned as created.
func (d *Directory) SignUp(ctx context.Context, in NewPerson) (user *db.User, created *db.OrganizationID, err error) {
	err = d.write(ctx, func(ctx context.Context, w *write) error {
		user, created = w.faults.newUser(CreateUserInput{Email: &in.Email, GivenName: in.GivenName, FamilyName: in.FamilyName, PictureURL: in.PictureURL}), nil
		user.EmailVerified, user.CreatedAt, user.UpdatedAt = true, w.At, w.At
		organizations, err := d.organizationsOfNewcomer(ctx, in)
		if err != nil {
			return err
		}
		if err := w.insert(ctx, user); err != nil {
			return err
		}
		if err := w.Record(changes.UserCreated, user.ID.String(), nil, nil, user); err != nil {
			return err
		}
		if in.CreateOrganization != nil {
			founded, err := d.found(ctx, w, user, *in.CreateOrganization)
			if err != nil {
				return err
			}
			created = &founded
		}
		for _, org := range organizations {
			if _, err := d.join(ctx, w, org, newcomers(user.ID), nil, access.Allowance{}); err != nil {
				return err
			}
		}
		return nil
	})
	return user, created, err
}

// organizationsOfNewcomer returns the organizations to join, other than one to be made,
// and keeps them from being deleted.
func (d *Directory) organizationsOfNewcomer(ctx context.Context, in NewPerson) ([]*db.Organization, error) {
	orgs, err := pointers(db.Select[db.Organization](ctx, d.db, `select * from organizations where id <> $3 and status = 'ACTIVE' and deleted_at is null
		and (id = $1::uuid and allow_self_sign_up or $2 = any(auto_join_domains)) order by id `+forMembers, in.Organization, domainOfAddress(in.Email), db.Root))
	if err != nil || len(orgs) > 0 || in.CreateOrganization != nil {
		return orgs, err
	}
	org, err := d.lockDefaultOrganization(ctx)
	return []*db.Organization{org}, err
}

// found makes an organization of that name, which the user administers.
func (d *Directory) found(ctx context.Context, w *write, user *db.User, name string) (db.OrganizationID, error) {
	org := w.faults.newOrganization(CreateOrganizationInput{Name: name})
	org.CreatedAt, org.UpdatedAt = w.At, w.At
	if err := w.faults.Err(); err != nil {
		return org.ID, err
	}
	if err := w.insertOrganization(ctx, org, nil, access.Allowance{}); err != nil {
		return org.ID, err
	}
	members, err := d.join(ctx, w, org, newcomers(user.ID), nil, access.Allowance{})
	if err != nil {
		return org.ID, err
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return org.ID, err
	}
	role := catalogue.RoleByKey(access.OrganizationAdministrator)
	if role == nil {
		return org.ID, errNotSetUp
	}
	return org.ID, w.grant(ctx, d, access.AllowFounder(org.ID, role.ID), roleGrants, members, []uuid.UUID{uuid.UUID(role.ID)}, term{startsAt: w.At})
}

// ProveEmail notes that the user has shown that the address is theirs. It returns
// UNAUTHENTICATED if it is not theirs any more.
func (d *Directory) ProveEmail(ctx context.Context, user db.UserID, email string) error {
	ctx = access.WithActor(ctx, access.System("sign-in"))
	return d.write(ctx, func(ctx context.Context, w *write) error {
		row, err := db.SelectOne[db.User](ctx, d.db, "select * from users where id = $1 and deleted_at is null "+forChange, user)
		if err != nil {
			return err
		}
		if row == nil || textValue(row.Email) != email {
			return problem.New(problem.Unauthenticated, "This address is no longer the one of the account.")
		}
		return w.proveEmail(ctx, row)
	})
}

// proveEmail notes that the user, who is locked, has shown that their address is theirs.
func (w *write) proveEmail(ctx context.Context, user *db.User) error {
	before := *user
	user.EmailVerified = true
	return w.updateUser(ctx, user, changes.UserUpdated, &before, nil)
}

// ActOnOneself runs fn in a write on the person who is signed in, and who is locked.
func (d *Directory) ActOnOneself(ctx context.Context, fn func(ctx context.Context, w *changes.Write, user *db.User) error) error {
	return d.own(ctx, func(ctx context.Context, w *write, user *db.User) error { return fn(ctx, w.Write, user) })
}

// ActOnUser runs fn in a write on a user whom the actor outranks, and who is locked. The
// actor must hold the permission for the business as a whole. field is the input that
// leads to the user.
func (d *Directory) ActOnUser(ctx context.Context, need access.Permission, by UserRef, field string, fn func(ctx context.Context, w *changes.Write, user *db.User) error) error {
	return d.change(ctx, need, func(ctx context.Context, w *write) error {
		user, err := d.lockUser(ctx, w, by)
		if err != nil {
			return err
		}
		if user != nil {
			if err := d.outrank(ctx, w, user.ID, nil, field); err != nil {
				return err
			}
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		return fn(ctx, w.Write, user)
	})
}
