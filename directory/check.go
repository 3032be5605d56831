package directory

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// The most that one check asks.
const (
	maxChecks = 1000
	maxMatrix = 10_000
)

// CheckInput asks whether a user may do something in an organization.
type CheckInput struct {
	User         UserRef
	Organization OrganizationRef
	Permission   string
}

// Can tells whether the user may do what the permission names in the
// organization; false for anything unknown or hidden.
func (d *Directory) Can(ctx context.Context, user UserRef, org OrganizationRef, permission string) (bool, error) {
	places, err := d.places(ctx, []*UserRef{&user}, []*OrganizationRef{&org})
	if err != nil {
		return false, err
	}
	if !db.HasTx(ctx) {
		if allowed, known := d.engine.Check(places[0], permission); known {
			return allowed, nil
		}
	}
	answers, err := d.allowed(ctx, places, permission)
	return err == nil && answers[0], err
}

// Checks answers up to 1,000 checks, in the order asked.
func (d *Directory) Checks(ctx context.Context, in []*CheckInput) ([]bool, error) {
	if len(in) > maxChecks {
		return nil, problem.At(problem.Invalid, "input", "At most %d checks at once.", maxChecks)
	}
	users, orgs := make([]*UserRef, len(in)), make([]*OrganizationRef, len(in))
	for i, check := range in {
		users[i], orgs[i] = &check.User, &check.Organization
	}
	places, err := d.places(ctx, users, orgs)
	if err != nil {
		return nil, err
	}
	catalogue, held, err := d.engine.View(ctx, places)
	if err != nil {
		return nil, err
	}
	answers := make([]bool, len(in))
	for i := range held {
		answers[i] = catalogue.Allows(held[i], in[i].Permission)
	}
	return answers, nil
}

// CheckMatrix answers for each user, in the order asked, whether they may do
// what each permission names in the organization; up to 10,000 answers.
func (d *Directory) CheckMatrix(ctx context.Context, org OrganizationRef, users []*UserRef, permissions []string) ([][]bool, error) {
	if len(users)*len(permissions) > maxMatrix || len(users) > maxMatrix || len(permissions) > maxMatrix {
		return nil, problem.At(problem.Invalid, "permissions", "At most %d answers at once: users times permissions.", maxMatrix)
	}
	orgs := make([]*OrganizationRef, len(users))
	for i := range orgs {
		orgs[i] = &org
	}
	places, err := d.places(ctx, users, orgs)
	if err != nil {
		return nil, err
	}
	catalogue, held, err := d.engine.View(ctx, places)
	if err != nil {
		return nil, err
	}
	rows := make([][]bool, len(users))
	for i := range held {
		rows[i] = catalogue.AllowsEach(held[i], permissions)
	}
	return rows, nil
}

// CanMembers tells of each member whether they may do what the permission
// names.
func (d *Directory) CanMembers(ctx context.Context, members []*db.Membership, permission string) ([]bool, error) {
	return d.allowed(ctx, placesOf(members), permission)
}

// CanUsers tells of each user whether they may do what the permission names in
// the organization.
func (d *Directory) CanUsers(ctx context.Context, users []db.UserID, org OrganizationRef, permission string) ([]bool, error) {
	places, err := d.PlacesOfUsers(ctx, users, org)
	if err != nil {
		return nil, err
	}
	return d.allowed(ctx, places, permission)
}

func (d *Directory) allowed(ctx context.Context, places []access.Place, permission string) ([]bool, error) {
	catalogue, held, err := d.engine.View(ctx, places)
	if err != nil {
		return nil, err
	}
	answers := make([]bool, len(places))
	for i := range held {
		answers[i] = catalogue.Allows(held[i], permission)
	}
	return answers, nil
}

// places finds where the users and organizations meet, pair by pair. What is
// unknown to the actor has no id, and nobody is a member there.
func (d *Directory) places(ctx context.Context, users []*UserRef, orgs []*OrganizationRef) ([]access.Place, error) {
	within, err := access.Reach(ctx, access.MembersRead)
	if err != nil {
		return nil, err
	}
	orgIDs, err := d.organizationIDsWithin(ctx, orgs, within)
	if err != nil {
		return nil, err
	}
	userIDs, err := d.userIDs(ctx, users, within)
	if err != nil {
		return nil, err
	}
	places := make([]access.Place, len(users))
	for i := range places {
		places[i] = access.Place{User: userIDs[i], Organization: orgIDs[i]}
	}
	return places, nil
}

// userIDs gives the ids of the users whom the references name; zero where there
// is none, or no such member of the organization unless that is nil: memory would
// answer sooner for whoever is nobody than for somebody else's user. Ids need no
// look-up.
func (d *Directory) userIDs(ctx context.Context, refs []*UserRef, within *db.OrganizationID) ([]db.UserID, error) {
	ids := make([]db.UserID, len(refs))
	var unknown []*UserRef
	for i, ref := range refs {
		if look := ref.lookUp(); look.column == "id" && look.ok {
			ids[i] = look.value.(db.UserID)
		} else if look.ok {
			unknown = append(unknown, ref)
		}
	}
	if len(unknown) == 0 {
		return ids, nil
	}
	users, err := d.findUsers(ctx, unknown, within, "")
	if err != nil {
		return nil, err
	}
	named := make(map[*UserRef]*db.User, len(unknown))
	for i, ref := range unknown {
		named[ref] = users[i]
	}
	for i, ref := range refs {
		if user := named[ref]; user != nil {
			ids[i] = user.ID
		}
	}
	return ids, nil
}

// organizationIDsWithin gives the ids of the organizations which the references
// name; zero where there is none, or it is not the one within which the actor may
// see members (nil: all). One statement looks all of them up, once each, whether
// there are such or not.
func (d *Directory) organizationIDsWithin(ctx context.Context, refs []*OrganizationRef, within *db.OrganizationID) ([]db.OrganizationID, error) {
	known := map[lookUp]db.OrganizationID{}
	looks := make([]lookUp, len(refs))
	var unknown []*OrganizationRef
	for i, ref := range refs {
		look := ref.lookUp()
		looks[i] = look
		if _, asked := known[look]; asked || !look.ok {
			continue
		}
		id, isID := look.value.(db.OrganizationID)
		if known[look] = id; !isID {
			unknown = append(unknown, ref)
		}
	}
	if len(unknown) > 0 {
		found, err := d.findOrganizations(ctx, unknown, within, "")
		if err != nil {
			return nil, err
		}
		for i, ref := range unknown {
			if found[i] != nil {
				known[ref.lookUp()] = found[i].ID
			}
		}
	}
	ids := make([]db.OrganizationID, len(refs))
	for i, look := range looks {
		if id := known[look]; within == nil || id == *within {
			ids[i] = id
		}
	}
	return ids, nil
}

// PlacesOfUsers gives where each user would be in the organization; its id is
// zero when it is unknown to the actor.
func (d *Directory) PlacesOfUsers(ctx context.Context, users []db.UserID, org OrganizationRef) ([]access.Place, error) {
	within, err := access.Reach(ctx, access.MembersRead)
	if actor := access.ActorOf(ctx); problem.Is(err, problem.Forbidden) && actor.Is(users...) {
		within, err = actor.Organization, nil
	}
	if err != nil {
		return nil, err
	}
	ids, err := d.organizationIDsWithin(ctx, []*OrganizationRef{&org}, within)
	if err != nil {
		return nil, err
	}
	places := make([]access.Place, len(users))
	for i, user := range users {
		places[i] = access.Place{User: user, Organization: ids[0]}
	}
	return places, nil
}

// PlacesInOrganizations gives where the user would be in each organization; the
// user's id is zero when there is no such user.
func (d *Directory) PlacesInOrganizations(ctx context.Context, user UserRef, orgs []db.OrganizationID) ([]access.Place, error) {
	ids, err := d.userIDs(ctx, []*UserRef{&user}, nil)
	if err != nil {
		return nil, err
	}
	places := make([]access.Place, len(orgs))
	for i, org := range orgs {
		places[i] = access.Place{User: ids[0], Organization: org}
	}
	return places, nil
}
