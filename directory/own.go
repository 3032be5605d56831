package directory

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// This file holds what people may do with what is theirs, without any permission.

// own runs fn in a write on the user whom the actor is, and who is locked. It returns
// UNAUTHENTICATED or FORBIDDEN unless the actor is a person who is signed in.
func (d *Directory) own(ctx context.Context, fn func(ctx context.Context, w *write, user *db.User) error) error {
	if _, err := access.RequirePerson(ctx); err != nil {
		return err
	}
	return d.write(ctx, func(ctx context.Context, w *write) error {
		id := w.actor.User.String()
		user, err := d.lockUser(ctx, w, UserRef{ID: &id})
		if err != nil {
			return err
		}
		if user == nil {
			return w.faults.Err()
		}
		return fn(ctx, w, user)
	})
}

// changeOwn calls edit to change the row of the user whom the actor is, and records it.
func (d *Directory) changeOwn(ctx context.Context, edit func(w *write, user *db.User)) (*db.User, error) {
	var user *db.User
	err := d.own(ctx, func(ctx context.Context, w *write, row *db.User) error {
		user = row
		before := *user
		edit(w, user)
		user.DeriveFrom(&before)
		return w.update(ctx, user, changes.UserUpdated, user.ID.String(), &before, func() { user.Version, user.UpdatedAt = user.Version+1, w.At })
	})
	return user, err
}

// UpdateViewerInput changes the fields that are set; null empties one.
type UpdateViewerInput struct {
	GivenName, FamilyName, PictureURL, Phone, Username graphql.Omittable[*string]
}

// UpdateViewer changes the profile of the person who is signed in.
func (d *Directory) UpdateViewer(ctx context.Context, in UpdateViewerInput) (*db.User, error) {
	return d.changeOwn(ctx, func(w *write, user *db.User) {
		f := &w.faults
		editText(of(f.text, maxName), "input.givenName", in.GivenName, &user.GivenName)
		editText(of(f.text, maxName), "input.familyName", in.FamilyName, &user.FamilyName)
		editText(f.url, "input.pictureUrl", in.PictureURL, &user.PictureURL)
		editText(f.phone, "input.phone", in.Phone, &user.Phone)
		editText(f.username, "input.username", in.Username, &user.Username)
		f.identified(user)
	})
}

// ChangeOwnEmail changes the address of the person who is signed in to one that they have
// proven. It returns CONFLICT if somebody has it by now.
func (d *Directory) ChangeOwnEmail(ctx context.Context, email string) (*db.User, error) {
	return d.changeOwn(ctx, func(w *write, user *db.User) {
		user.Email, user.EmailVerified = w.faults.email("input", &email), true
	})
}

// LeaveOrganizationInput names the organization to leave.
type LeaveOrganizationInput struct{ Organization OrganizationRef }

// LeaveOrganization takes the person who is signed in out of the organization, and
// returns the id of the membership. It returns LAST_ORGANIZATION if it is their only one.
func (d *Directory) LeaveOrganization(ctx context.Context, in LeaveOrganizationInput) ([]string, error) {
	var left []string
	err := d.own(ctx, func(ctx context.Context, w *write, user *db.User) error {
		const field = "input.organization"
		org, err := d.OrganizationID(ctx, in.Organization)
		if err != nil {
			return err
		}
		members, err := d.membersOf(ctx, org, []db.UserID{user.ID})
		if err != nil {
			return err
		}
		if members[0] == nil || org == db.Root {
			*w.faults.List = append(*w.faults.List, noOrganization(field))
			return nil
		}
		if err := d.haveOther(ctx, w, members, field); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		left = []string{members[0].ID.String()}
		return w.leave(ctx, d, members, nil)
	})
	return left, err
}

// ViewerPermissions returns the keys of all that the actor of ctx may do, ordered: in the
// organization that it acts in, together with the business, or else everywhere.
func (d *Directory) ViewerPermissions(ctx context.Context) ([]string, error) {
	actor := access.ActorOf(ctx)
	keys := make([]string, 0, len(actor.Permissions))
	for _, p := range actor.Permissions {
		keys = append(keys, string(p))
	}
	if actor.Session == nil || actor.Organization == nil {
		return keys, nil
	}
	catalogue, held, err := d.engine.View(ctx, []access.MemberKey{{User: *actor.User, Organization: *actor.Organization}})
	if err != nil {
		return nil, err
	}
	for _, p := range catalogue.Effective(held[0]) {
		keys = append(keys, p.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// ViewerCan reports whether the actor of ctx may do what the permission names, where
// ViewerPermissions counts.
func (d *Directory) ViewerCan(ctx context.Context, permission string) (bool, error) {
	actor := access.ActorOf(ctx)
	if actor.HoldsSomewhere(access.Permission(permission)) || actor.Session == nil || actor.Organization == nil {
		return actor.HoldsSomewhere(access.Permission(permission)), nil
	}
	member := access.MemberKey{User: *actor.User, Organization: *actor.Organization}
	if allowed, known := d.engine.Check(member, permission); known && !db.HasTx(ctx) {
		return allowed, nil
	}
	catalogue, held, err := d.engine.View(ctx, []access.MemberKey{member}, permission)
	return err == nil && catalogue.Allows(held[0], permission), err
}

// actsInSQL is the part after "select" of a statement over the memberships m in which the
// user $1 may act, as far as the user may act at all.
const actsInSQL = `from memberships m join organizations o on o.id = m.org_id and o.status = 'ACTIVE' and o.deleted_at is null
	where m.user_id = $1 and m.status = 'ACTIVE'`

// ActsIn returns the ids of the organizations that the user belongs to and may act in, in
// the order of joining, whoever asks.
func (d *Directory) ActsIn(ctx context.Context, user db.UserID) ([]db.OrganizationID, error) {
	return db.Select[db.OrganizationID](ctx, d.db, "select m.org_id "+actsInSQL+" and m.org_id <> $2 order by m.joined_at, m.id", user, db.Root)
}

// ViewerOrganizations is ActsIn for the person who is signed in; it returns none for all
// others.
func (d *Directory) ViewerOrganizations(ctx context.Context) ([]db.OrganizationID, error) {
	actor := access.ActorOf(ctx)
	if actor == nil || actor.Session == nil {
		return nil, nil
	}
	return d.ActsIn(ctx, *actor.User)
}

// Held is what a person may do in one organization.
type Held struct {
	Code string
	// Roles and Permissions are keys, ordered.
	Roles, Permissions []string
}

// HeldIn returns what the user holds in the organization, whoever asks, or nil if the user
// may not act there.
func (d *Directory) HeldIn(ctx context.Context, user db.UserID, org db.OrganizationID) (*Held, error) {
	catalogue, held, err := d.engine.View(ctx, []access.MemberKey{{User: user, Organization: org}})
	if err != nil || !held[0].MayAct() || org == db.Root {
		return nil, err
	}
	code, err := d.OrganizationCode(ctx, org)
	if err != nil || code == "" {
		return nil, err
	}
	all := &Held{Code: code, Roles: roleKeys(catalogue.HeldRoles(held[0])), Permissions: []string{}}
	for _, p := range catalogue.Effective(held[0]) {
		all.Permissions = append(all.Permissions, p.Key)
	}
	return all, nil
}
