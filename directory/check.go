package directory

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// These are the limits of one check.
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

// Can reports whether the user may do what the permission names in the
// organization; it returns false for anything unknown or hidden.
func (d *Directory) Can(ctx context.Context, user UserRef, org OrganizationRef, permission string) (bool, error) {
	members, err := d.memberKeys(ctx, []*UserRef{&user}, []*OrganizationRef{&org})
	if err != nil {
		return false, err
	}
	if !db.HasTx(ctx) {
		if allowed, known := d.engine.Check(members[0], permission); known {
			return allowed, nil
		}
	}
	answers, err := d.allowed(ctx, members, permission)
	return err == nil && answers[0], err
}

// Checks answers up to 1,000 checks, in their order.
func (d *Directory) Checks(ctx context.Context, in []*CheckInput) ([]bool, error) {
	if len(in) > maxChecks {
		return nil, problem.At(problem.Invalid, "input", "At most %d checks at once.", maxChecks)
	}
	users, orgs := make([]*UserRef, len(in)), make([]*OrganizationRef, len(in))
	for i, check := range in {
		users[i], orgs[i] = &check.User, &check.Organization
	}
	members, err := d.memberKeys(ctx, users, orgs)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(in))
	for i, check := range in {
		keys[i] = check.Permission
	}
	catalogue, held, err := d.engine.View(ctx, members, keys...)
	if err != nil {
		return nil, err
	}
	answers := make([]bool, len(in))
	for i := range held {
		answers[i] = catalogue.Allows(held[i], in[i].Permission)
	}
	return answers, nil
}

// CheckMatrix reports for each user, in their order, whether they may do what each
// permission names in the organization; up to 10,000 answers.
func (d *Directory) CheckMatrix(ctx context.Context, org OrganizationRef, users []*UserRef, permissions []string) ([][]bool, error) {
	if len(users)*len(permissions) > maxMatrix || len(users) > maxMatrix || len(permissions) > maxMatrix {
		return nil, problem.At(problem.Invalid, "permissions", "At most %d answers at once: users times permissions.", maxMatrix)
	}
	orgs := make([]*OrganizationRef, len(users))
	for i := range orgs {
		orgs[i] = &org
	}
	members, err := d.memberKeys(ctx, users, orgs)
	if err != nil {
		return nil, err
	}
	catalogue, held, err := d.engine.View(ctx, members, permissions...)
	if err != nil {
		return nil, err
	}
	rows := make([][]bool, len(users))
	for i := range held {
		rows[i] = catalogue.AllowsEach(held[i], permissions)
	}
	return rows, nil
}

// CanMembers reports for each member whether they may do what the permission names.
func (d *Directory) CanMembers(ctx context.Context, members []*db.Membership, permission string) ([]bool, error) {
	return d.allowed(ctx, memberKeysOf(members), permission)
}

// CanUsers reports for each user whether they may do what the permission names in
// the organization.
func (d *Directory) CanUsers(ctx context.Context, users []db.UserID, org OrganizationRef, permission string) ([]bool, error) {
	members, err := memberKeysOfUsers(ctx, users, org, d.knownIDs)
	if err != nil {
		return nil, err
	}
	return d.allowed(ctx, members, permission)
}

func (d *Directory) allowed(ctx context.Context, members []access.MemberKey, permission string) ([]bool, error) {
	catalogue, held, err := d.engine.View(ctx, members, permission)
	if err != nil {
		return nil, err
	}
	answers := make([]bool, len(members))
	for i := range held {
		answers[i] = catalogue.Allows(held[i], permission)
	}
	return answers, nil
}

// memberKeys returns the keys of the users and organizations, pair by pair. A user or
// organization that is unknown to the actor, or hidden from them, has the zero id,
// under which nobody is a member.
func (d *Directory) memberKeys(ctx context.Context, users []*UserRef, orgs []*OrganizationRef) ([]access.MemberKey, error) {
	within, err := access.ScopeOf(ctx, access.MembersRead)
	if err != nil {
		return nil, err
	}
	userIDs, orgIDs, err := d.knownIDs(ctx, users, orgs, within)
	if err != nil {
		return nil, err
	}
	members := make([]access.MemberKey, len(users))
	for i := range members {
		members[i] = access.MemberKey{User: userIDs[i], Organization: orgIDs[i]}
	}
	return members, nil
}

// MemberKeysOfUsers returns the key of each user in the organization; the
// organization's id is zero if it is unknown to the actor.
func (d *Directory) MemberKeysOfUsers(ctx context.Context, users []db.UserID, org OrganizationRef) ([]access.MemberKey, error) {
	return memberKeysOfUsers(ctx, users, org, d.namedIDs)
}

// findIDs is namedIDs or knownIDs.
type findIDs func(ctx context.Context, users []*UserRef, orgs []*OrganizationRef, within *db.OrganizationID) ([]db.UserID, []db.OrganizationID, error)

func memberKeysOfUsers(ctx context.Context, users []db.UserID, org OrganizationRef, find findIDs) ([]access.MemberKey, error) {
	within, err := access.ScopeOf(ctx, access.MembersRead)
	if actor := access.ActorOf(ctx); problem.Is(err, problem.Forbidden) && actor.Is(users...) {
		within, err = actor.Bound(), nil
	}
	if err != nil {
		return nil, err
	}
	_, ids, err := find(ctx, nil, []*OrganizationRef{&org}, within)
	if err != nil {
		return nil, err
	}
	members := make([]access.MemberKey, len(users))
	for i, user := range users {
		members[i] = access.MemberKey{User: user, Organization: ids[0]}
	}
	return members, nil
}

// MemberKeysInOrganizations returns the key of the user in each organization; the
// user's id is zero if there is no such user.
func (d *Directory) MemberKeysInOrganizations(ctx context.Context, user UserRef, orgs []db.OrganizationID) ([]access.MemberKey, error) {
	ids, _, err := d.namedIDs(ctx, []*UserRef{&user}, nil, nil)
	if err != nil {
		return nil, err
	}
	members := make([]access.MemberKey, len(orgs))
	for i, org := range orgs {
		members[i] = access.MemberKey{User: ids[0], Organization: org}
	}
	return members, nil
}
