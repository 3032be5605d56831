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
// unknown to the actor, or hidden from them, has no id, and nobody is a member
// there.
func (d *Directory) places(ctx context.Context, users []*UserRef, orgs []*OrganizationRef) ([]access.Place, error) {
	within, err := access.Reach(ctx, access.MembersRead)
	if err != nil {
		return nil, err
	}
	userIDs, orgIDs, err := d.namedIDs(ctx, users, orgs, within)
	if err != nil {
		return nil, err
	}
	places := make([]access.Place, len(users))
	for i := range places {
		places[i] = access.Place{User: userIDs[i], Organization: orgIDs[i]}
	}
	return places, nil
}

// namedIDs gives the ids of the users and organizations which the references
// name; zero where there is none and, unless within is nil, for other
// organizations and who is no member of it: memory would answer sooner for who
// does not exist than for somebody else's user. Ids need no look-up, and all else
// takes one statement.
func (d *Directory) namedIDs(ctx context.Context, users []*UserRef, orgs []*OrganizationRef, within *db.OrganizationID) ([]db.UserID, []db.OrganizationID, error) {
	userLooks, orgLooks := make([]lookUp, len(users)), make([]lookUp, len(orgs))
	for i, ref := range users {
		userLooks[i] = ref.lookUp()
	}
	for i, ref := range orgs {
		orgLooks[i] = ref.lookUp()
	}
	namedUsers, namedOrgs, err := d.lookUpIDs(ctx, userLooks, orgLooks, within)
	if err != nil {
		return nil, nil, err
	}
	userIDs, orgIDs := idsOf(userLooks, namedUsers), idsOf(orgLooks, namedOrgs)
	for i, id := range orgIDs {
		if within != nil && id != *within {
			orgIDs[i] = db.OrganizationID{}
		}
	}
	return userIDs, orgIDs, nil
}

// lookUpIDs finds what is not asked for by its id.
func (d *Directory) lookUpIDs(ctx context.Context, users, orgs []lookUp, within *db.OrganizationID) (map[lookUp]db.UserID, map[lookUp]db.OrganizationID, error) {
	emails, usernames, externals := keysIn(users, "email_key"), keysIn(users, "username_key"), keysIn(users, "external_id_key")
	codes, orgExternals := keysIn(orgs, "code"), keysIn(orgs, "external_id_key")
	if len(emails)+len(usernames)+len(externals)+len(codes)+len(orgExternals) == 0 {
		return nil, nil, nil
	}
	rows, err := db.Select[struct {
		IsUser                          bool
		ID                              db.UserID
		Email, Username, Code, External string
	}](ctx, d.db, `
		select true as is_user, id, coalesce(email_key, '') as email, coalesce(username_key, '') as username, '' as code, coalesce(external_id_key, '') as external
			from users where deleted_at is null and (email_key = any($1::text[]) or username_key = any($2::text[]) or external_id_key = any($3::text[]))
				and ($6::uuid is null or exists (select from memberships m where m.org_id = $6 and m.user_id = users.id))
		union all
		select false, id, '', '', code, coalesce(external_id_key, '')
			from organizations where deleted_at is null and (code = any($4::text[]) or external_id_key = any($5::text[]))`,
		emails, usernames, externals, codes, orgExternals, within)
	if err != nil {
		return nil, nil, err
	}
	namedUsers, namedOrgs := map[lookUp]db.UserID{}, map[lookUp]db.OrganizationID{}
	for _, row := range rows {
		if row.IsUser {
			namedUsers[lookUp{"email_key", row.Email, true}] = row.ID
			namedUsers[lookUp{"username_key", row.Username, true}] = row.ID
			namedUsers[lookUp{"external_id_key", row.External, true}] = row.ID
		} else {
			namedOrgs[lookUp{"code", row.Code, true}] = db.OrganizationID(row.ID)
			namedOrgs[lookUp{"external_id_key", row.External, true}] = db.OrganizationID(row.ID)
		}
	}
	return namedUsers, namedOrgs, nil
}

// keysIn gives the keys that are asked for in the column, each once.
func keysIn(looks []lookUp, column string) []string {
	keys := []string{}
	for i, look := range looks {
		if look.ok && look.column == column && (i == 0 || look != looks[i-1]) {
			keys = append(keys, look.value.(string))
		}
	}
	return distinct(keys)
}

// idsOf gives the id that each reference names; zero where there is none.
func idsOf[K db.Kind](looks []lookUp, named map[lookUp]db.ID[K]) []db.ID[K] {
	ids := make([]db.ID[K], len(looks))
	for i, look := range looks {
		switch id, isID := look.value.(db.ID[K]); {
		case !look.ok:
		case isID:
			ids[i] = id
		default:
			ids[i] = named[look]
		}
	}
	return ids
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
	_, ids, err := d.namedIDs(ctx, nil, []*OrganizationRef{&org}, within)
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
	ids, _, err := d.namedIDs(ctx, []*UserRef{&user}, nil, nil)
	if err != nil {
		return nil, err
	}
	places := make([]access.Place, len(orgs))
	for i, org := range orgs {
		places[i] = access.Place{User: ids[0], Organization: org}
	}
	return places, nil
}
