package directory

import (
	"context"
	"strconv"
	"strings"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// CreateUsersInput describes many new users.
type CreateUsersInput struct {
	Users      []*CreateUserInput
	OnConflict OnConflict
}

// CreateUsers is CreateUser for at most 1,000 users, all or none, and takes a fixed number of
// statements. It returns the users in the order of the input, also those who were there
// already, and the faults of all at once. Whoever is there takes what the input has a value
// for if OnConflict says so.
func (d *Directory) CreateUsers(ctx context.Context, in CreateUsersInput) ([]*db.User, error) {
	var users []*db.User
	err := d.change(ctx, access.UsersWrite, func(ctx context.Context, w *write) error {
		users = nil
		if !w.faults.size("input.users", len(in.Users), 1) {
			return nil
		}
		arrivals, err := d.arrivalsOf(ctx, w, in.Users)
		if err != nil {
			return err
		}
		m, err := d.meet(ctx, arrivals, in.OnConflict)
		if err != nil {
			return err
		}
		m.actions, m.always = created, true
		if err := w.ReadClock(ctx); err != nil {
			return err
		}
		taken := make(map[db.UserID]bool, len(arrivals))
		for i, a := range arrivals {
			users = append(users, w.create(m, a, taken, "input.users."+strconv.Itoa(i)))
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		return w.putIn(ctx, d, m)
	})
	return users, err
}

// create notes what becomes of the user whom the field describes, and returns them, or nil if
// something is wrong. taken are the users whom the fields before it describe.
func (w *write) create(m *meeting, a *Arrival, taken map[db.UserID]bool, field string) *db.User {
	if p, _ := m.find(a); p != nil && taken[p.user.ID] {
		w.faults.Add(problem.Conflict, field, "It is the same user as another one of this input.")
		return nil
	}
	result := m.take(a)
	for _, f := range result.Faults {
		if f.Code == CodeAnyOfMissing && w.faults.about(field+".email", field+".username", field+".phone", field+".externalId") {
			continue // it has been told what is wrong with that
		}
		at := field
		if f.Field != "" {
			at += "." + strings.Replace(f.Field, "places", "organizations", 1)
		}
		w.faults.Add(kindOf(f.Code), at, "%s", f.Message)
	}
	if result.Outcome == db.ImportFail {
		return nil
	}
	taken[result.User] = true
	return m.people[result.User].user
}

// kindOf returns the kind of problem that the code of an arrival's fault stands for.
func kindOf(code string) problem.Kind {
	switch code {
	case CodeConflict, CodeConflictEmail, CodeConflictUsername, CodeDuplicatedUser:
		return problem.Conflict
	case CodeUnknownOrganization, CodeUnknownRole, CodeUnknownPermission:
		return problem.NotFound
	case CodeEscalation:
		return problem.Escalation
	case CodeForbidden:
		return problem.Forbidden
	}
	return problem.Invalid
}

// arrivalsOf returns the users of the input as people who arrive, and adds faults.
func (d *Directory) arrivalsOf(ctx context.Context, w *write, in []*CreateUserInput) ([]*Arrival, error) {
	var refs []*OrganizationRef
	for _, user := range in {
		refs = append(refs, user.Organizations...)
	}
	organizations, err := d.findOrganizations(ctx, refs, nil, forMembers)
	if err != nil {
		return nil, err
	}
	withoutRoot(organizations)
	home, err := d.PlaceOfStrays(ctx, nil)
	if err != nil {
		return nil, err
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	arrivals := make([]*Arrival, len(in))
	for i, user := range in {
		field := "input.users." + strconv.Itoa(i)
		a := w.newArrival(user, field)
		mine := organizations[:len(user.Organizations)]
		organizations = organizations[len(user.Organizations):]
		a.Places = w.placesOf(user, mine, home, w.rolesOf(catalogue, user.Roles, field), field)
		arrivals[i] = a
	}
	return arrivals, nil
}

// newArrival returns the user as somebody who arrives, without places.
func (w *write) newArrival(in *CreateUserInput, field string) *Arrival {
	a := &Arrival{
		User: db.NewID[db.UserKind](), Email: in.Email, Username: in.Username, Phone: in.Phone, GivenName: in.GivenName, FamilyName: in.FamilyName,
		PictureURL: in.PictureURL, ExternalID: in.ExternalID, Properties: in.Properties, PasswordHash: textValue(in.PasswordHash),
	}
	for _, f := range a.Clean() {
		w.faults.Add(kindOf(f.Code), field+"."+f.Field, "%s", f.Message)
	}
	if in.Password != nil {
		w.faults.Add(problem.Invalid, field+".password", "A password comes with createUser, alone in its document. Elsewhere, use its hash.")
	}
	w.faults.passwordHash(field+".passwordHash", in.PasswordHash)
	return a
}

// rolesOf returns the roles that the references name, and adds faults for those that do not
// exist.
func (w *write) rolesOf(catalogue *access.Catalogue, refs []*RoleRef, field string) []db.RoleID {
	var roles []db.RoleID
	for i, ref := range refs {
		var role *db.Role
		if ref.Key != nil {
			role = catalogue.RoleByKey(*ref.Key)
		} else if id, err := db.ParseID[db.RoleKind](textValue(ref.ID)); err == nil {
			role = catalogue.Role(id)
		}
		if role == nil || role.DeletedAt != nil {
			w.faults.Add(problem.NotFound, field+".roles."+strconv.Itoa(i), "There is no such role.")
			continue
		}
		roles = append(roles, role.ID)
	}
	return roles
}

// placesOf returns the places that the user comes to, and adds faults.
func (w *write) placesOf(in *CreateUserInput, organizations []*db.Organization, home *db.OrganizationID, roles []db.RoleID, field string) []Place {
	noDefaults := in.Roles != nil && len(in.Roles) == 0
	if in.Organizations == nil && home != nil {
		return []Place{{Organization: *home, Roles: roles, Fallback: true, NoDefaults: noDefaults}}
	}
	if len(organizations) == 0 {
		w.faults.Add(problem.Invalid, field+".organizations", "A user belongs to at least one organization.")
	}
	var places []Place
	for i, org := range organizations {
		if org == nil {
			*w.faults.List = append(*w.faults.List, noOrganization(field+".organizations."+strconv.Itoa(i)))
			continue
		}
		places = append(places, Place{Organization: org.ID, Roles: roles, NoDefaults: noDefaults})
	}
	return places
}

// arrivalActions are how the log records people who arrive.
type arrivalActions struct {
	made, edited, joined changes.Action
	// together is true if the record of a new member has the grants.
	together bool
}

var (
	imported = arrivalActions{changes.UserImported, changes.UserImported, changes.MembershipImported, true}
	created  = arrivalActions{changes.UserCreated, changes.UserUpdated, changes.MembershipCreated, false}
)
