package directory

import (
	"context"
	"reflect"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// Arrived is what becomes of an arrival.
type Arrived struct {
	// User is whom the arrival has turned out to be, or is to become; zero if it failed.
	User    db.UserID
	Outcome db.ImportOutcome
	// Faults say why it failed, and Warnings what was left out.
	Faults, Warnings []ArrivalFault
}

// meeting holds the users whom arrivals may turn out to be, the organizations that they may
// join, and the roles and permissions that the actor may grant them there.
type meeting struct {
	actor *access.Actor
	on    OnConflict
	// always is true if whoever is there is a conflict, also if the arrival only adds something.
	always    bool
	actions   arrivalActions
	authority *access.Authority
	catalogue *access.Catalogue

	organizations map[db.OrganizationID]*db.Organization
	people        map[db.UserID]*arriving
	owners        map[arrivalName]db.UserID
	// accounts are whose the foreign accounts are that somebody has already.
	accounts map[foreignName]db.UserID
	allowed  map[handoutName]allowed
}

// arriving is a person among those who arrive, as they were and as they will be.
type arriving struct {
	// before is the stored user; nil for somebody new.
	before *db.User

	user *db.User
	// madeHere is true if an arrival has made the user.
	madeHere bool
	// elsewhere is true of somebody who was made by an arrival that is not at hand: nothing is
	// known of them.
	elsewhere bool
	// lacking are permissions of Roster itself that the user holds and the actor does not.
	lacking []string

	suspends    bool
	hasPassword bool
	hash        string
	accounts    []ForeignAccount
	members     map[db.OrganizationID]*joining
	// joined are the organizations of members in the order in which they were named.
	joined []db.OrganizationID
}

// joining is a membership of somebody who arrives.
type joining struct {
	row   *db.Membership
	isNew bool
	// defaults is true if the member is to have the default roles.
	defaults bool
	// held are the targets that are granted for good, and given those to be granted.
	held  map[uuid.UUID]bool
	given map[string][]uuid.UUID
}

type foreignName struct{ provider, subject string }

// handoutName names something to be handed out in an organization; the zero one is any.
type handoutName struct {
	organization db.OrganizationID
	target       uuid.UUID
}

// allowed is whether something may be handed out, by which allowance, or why not.
type allowed struct {
	by  access.Allowance
	why string
}

// meet reads whom the arrivals may be, and where they may come to. In a write, it locks
// all of them, in the order in which every write locks.
func (d *Directory) meet(ctx context.Context, arrivals []*Arrival, on OnConflict) (*meeting, error) {
	m := &meeting{
		actor: access.ActorOf(ctx), on: on, actions: imported, organizations: map[db.OrganizationID]*db.Organization{}, people: map[db.UserID]*arriving{},
		owners: map[arrivalName]db.UserID{}, accounts: map[foreignName]db.UserID{}, allowed: map[handoutName]allowed{},
	}
	lock := func(strength string) string {
		if db.HasTx(ctx) {
			return strength
		}
		return ""
	}
	organizations, err := db.Select[db.Organization](ctx, d.db, "select * from organizations where id = any($1) and id <> $2 and deleted_at is null order by id "+lock(forMembers),
		organizationsIn(arrivals), db.Root)
	if err != nil {
		return nil, err
	}
	for i := range organizations {
		m.organizations[organizations[i].ID] = &organizations[i]
	}
	if err := d.meetUsers(ctx, m, arrivals, lock(forChange)); err != nil {
		return nil, err
	}
	if err := d.meetTargets(ctx, arrivals, lock(forShare)); err != nil {
		return nil, err
	}
	if m.catalogue, err = d.engine.Catalogue(ctx); err != nil {
		return nil, err
	}
	if m.authority, err = d.engine.Authority(ctx, m.actor); err != nil {
		return nil, err
	}
	changes.WrittenIn(ctx).Grounds = append(authoritiesIn(ctx), m.authority)
	return m, nil
}

func organizationsIn(arrivals []*Arrival) []db.OrganizationID {
	var ids []db.OrganizationID
	for _, a := range arrivals {
		for _, place := range a.Places {
			ids = append(ids, place.Organization)
		}
	}
	return distinct(ids)
}

// meetTargets keeps the roles and permissions that the arrivals name from being deleted.
func (d *Directory) meetTargets(ctx context.Context, arrivals []*Arrival, lock string) error {
	if lock == "" {
		return nil
	}
	targets := map[string][]uuid.UUID{}
	for _, a := range arrivals {
		for i := range a.Places {
			for _, kind := range []grantKind{roleGrants, permissionGrants} {
				targets[kind.keys] = append(targets[kind.keys], a.Places[i].grantTargets(kind)...)
			}
		}
	}
	var b db.Batch
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		b.Exec("select from "+kind.keys+" where id = any($1) and deleted_at is null order by id "+lock, distinct(targets[kind.keys]))
	}
	return d.db.Run(ctx, &b)
}

// peopleText selects the users who may be the ones who arrive, also deleted ones. It has no
// condition on those, for which PostgreSQL could take an index of all users.
const peopleText = `select * from users where id = any(array(
	select id from unnest($1::uuid[]) id
	union select id from users where external_id_key = any($2::text[])
	union select id from users where email_key = any($3::text[])
	union select id from users where username_key = any($4::text[])
	union select id from users where phone = any($5::text[]) and phone is not null and email is null and username is null and external_id is null)) order by id `

// meetUsers reads the users whom the arrivals may be, with what belongs to them.
func (d *Directory) meetUsers(ctx context.Context, m *meeting, arrivals []*Arrival, lock string) error {
	keys := map[string][]string{}
	ids := make([]db.UserID, 0, len(arrivals))
	for _, a := range arrivals {
		ids = append(ids, a.User)
		if !a.Known.IsZero() {
			ids = append(ids, a.Known)
		}
		for _, name := range append(a.names(), otherNames(a)...) {
			if db.Storable(name.key) {
				keys[name.column] = append(keys[name.column], name.key)
			}
		}
	}
	rows, err := db.SelectByIndex[db.User](ctx, d.db, peopleText+lock, ids, keys[externalIDColumn], keys[emailColumn], keys[usernameColumn], keys[phoneColumn])
	if err != nil {
		return err
	}
	stored := make([]db.UserID, 0, len(rows))
	for i := range rows {
		user := rows[i]
		if user.DeletedAt != nil {
			continue
		}
		stored = append(stored, user.ID)
		m.people[user.ID] = &arriving{before: &rows[i], user: &user, members: map[db.OrganizationID]*joining{}}
		for _, name := range namesOf(&user) {
			m.owners[name] = user.ID
		}
	}
	if err := d.meetAccounts(ctx, m, arrivals); err != nil || len(stored) == 0 {
		return err
	}
	return d.meetBelongings(ctx, m, stored, lock)
}

// otherNames returns the other forms of the external id as names.
func otherNames(a *Arrival) []arrivalName {
	names := make([]arrivalName, len(a.OtherIDs))
	for i, id := range a.OtherIDs {
		names[i] = arrivalName{externalIDColumn, db.Fold(id)}
	}
	return names
}

// meetAccounts reads whose the foreign accounts of the arrivals are.
func (d *Directory) meetAccounts(ctx context.Context, m *meeting, arrivals []*Arrival) error {
	var providers, subjects []string
	for _, a := range arrivals {
		for _, account := range a.Identities {
			providers, subjects = append(providers, account.Provider), append(subjects, account.Subject)
		}
	}
	if len(providers) == 0 {
		return nil
	}
	rows, err := db.Select[db.Identity](ctx, d.db, `select i.provider, i.subject, i.user_id from unnest($1::text[], $2::text[]) a (provider, subject)
		join identities i on i.provider = a.provider and i.subject = a.subject`, providers, subjects)
	for _, row := range rows {
		m.accounts[foreignName{row.Provider, row.Subject}] = row.UserID
	}
	return err
}

// meetBelongings reads what the users have: memberships, what is granted there for good,
// passwords, and what they rank by.
func (d *Directory) meetBelongings(ctx context.Context, m *meeting, users []db.UserID, lock string) error {
	members, err := db.Select[db.Membership](ctx, d.db, "select * from memberships where user_id = any($1) order by org_id, user_id "+lock, users)
	if err != nil {
		return err
	}
	for i := range members {
		m.people[members[i].UserID].members[members[i].OrgID] = &joining{row: &members[i], held: map[uuid.UUID]bool{}, given: map[string][]uuid.UUID{}}
	}
	held, err := db.Select[struct {
		OrgID    db.OrganizationID
		UserID   db.UserID
		TargetID uuid.UUID
	}](ctx, d.db, `with members as (select org_id, user_id from memberships where user_id = any($1))
		select g.org_id, g.user_id, g.role_id as target_id from members join membership_roles g using (org_id, user_id) where g.live and g.ends_at is null and g.starts_at <= clock_timestamp()
		union all select g.org_id, g.user_id, g.permission_id from members join membership_permissions g using (org_id, user_id) where g.live and g.ends_at is null and g.starts_at <= clock_timestamp()`, users)
	if err != nil {
		return err
	}
	for _, g := range held {
		if member := m.people[g.UserID].members[g.OrgID]; member != nil {
			member.held[g.TargetID] = true
		}
	}
	passwords, err := db.Select[db.UserID](ctx, d.db, "select user_id from passwords where user_id = any($1)", users)
	if err != nil {
		return err
	}
	for _, id := range passwords {
		m.people[id].hasPassword = true
	}
	all := make([]person, len(users))
	for i, id := range users {
		all[i] = person{user: id}
	}
	lacking, err := d.lacking(ctx, m.actor, all)
	for i := range lacking {
		m.people[users[i]].lacking = lacking[i]
	}
	return err
}

// take finds out who arrives, and notes what becomes of them, unless something is wrong.
func (m *meeting) take(a *Arrival) Arrived {
	p, wrong := m.find(a)
	isThere := p != nil && !p.madeHere && (!a.Again || p.user.ID != a.User)
	if len(wrong) == 0 && isThere && (m.always || a.hasProfile()) {
		switch m.on {
		case SkipConflict:
			return Arrived{User: p.user.ID, Outcome: db.ImportSkip}
		case FailConflict:
			wrong = append(wrong, m.conflicts(a)...)
		}
	}
	places, refused := m.places(a, p == nil)
	wrong = append(wrong, refused...)
	if p == nil && len(a.names()) == 0 {
		wrong = append(wrong, ArrivalFault{CodeAnyOfMissing, "", "A user needs an email address, a username, a phone number or an external id."})
	}
	edits := p != nil && (!isThere || m.edits(p))
	if p != nil && len(p.lacking) > 0 && m.touches(p, a, edits) {
		wrong = append(wrong, ArrivalFault{CodeForbidden, "", "You must hold every permission of Roster that the user holds. You lack " + enumerate(p.lacking) + "."})
	}
	if len(wrong) > 0 {
		return Arrived{Outcome: db.ImportFail, Faults: wrong}
	}
	if p == nil {
		p = &arriving{user: a.newcomerUser(), madeHere: true, members: map[db.OrganizationID]*joining{}}
		m.people[a.User] = p
		_, warnings := m.note(p, a, places)
		return m.taken(p, a, db.ImportCreate, warnings)
	}
	before := *p.user
	if edits {
		a.edit(p.user)
	}
	changed, warnings := m.note(p, a, places)
	if isThere && !changed && reflect.DeepEqual(before, *p.user) {
		return m.taken(p, a, db.ImportSkip, warnings)
	}
	return m.taken(p, a, db.ImportUpdate, warnings)
}

// taken returns what has become of an arrival, by whose names others may be found from now
// on.
func (m *meeting) taken(p *arriving, a *Arrival, outcome db.ImportOutcome, warnings []ArrivalFault) Arrived {
	a.User = p.user.ID
	for _, name := range a.names() {
		m.owners[name] = p.user.ID
	}
	return Arrived{User: p.user.ID, Outcome: outcome, Warnings: warnings}
}

// find returns the person who arrives, or nil for somebody new.
func (m *meeting) find(a *Arrival) (*arriving, []ArrivalFault) {
	p := m.people[a.User]
	if p == nil && !a.Known.IsZero() {
		p = m.people[a.Known]
	}
	names := a.names()
	for _, name := range append(names, otherNames(a)...) {
		if owner, owned := m.owners[name]; owned && p == nil {
			p = m.people[owner]
		}
	}
	var wrong []ArrivalFault
	for _, name := range names {
		if owner, owned := m.owners[name]; owned && (p == nil || owner != p.user.ID) {
			wrong = append(wrong, takenFault(name.column))
		}
	}
	if p != nil && p.madeHere && !p.elsewhere && len(wrong) == 0 && a.ExternalID != nil && p.user.ExternalID != nil && db.Fold(*a.ExternalID) != db.Fold(*p.user.ExternalID) {
		wrong = append(wrong, ArrivalFault{CodeDuplicatedUser, "externalId", "An earlier row has this person with another id."})
	}
	return p, wrong
}

// takenFault says that another user has what the column holds.
func takenFault(column string) ArrivalFault {
	switch column {
	case emailColumn:
		return ArrivalFault{CodeConflictEmail, "email", "Another user has this email address."}
	case usernameColumn:
		return ArrivalFault{CodeConflictUsername, "username", "Another user has this username."}
	case phoneColumn:
		return ArrivalFault{CodeConflict, "phone", "Another user has this phone number, and nothing else."}
	}
	return ArrivalFault{CodeConflict, "externalId", "Another user has this external id."}
}

// conflicts says by what the person who arrives is there already.
func (m *meeting) conflicts(a *Arrival) (all []ArrivalFault) {
	for _, name := range a.names() {
		if _, owned := m.owners[name]; owned {
			all = append(all, takenFault(name.column))
		}
	}
	if len(all) == 0 {
		all = []ArrivalFault{{CodeConflict, "", "This user is there already."}}
	}
	return all
}

// edits reports whether the profile of somebody who is there is changed.
func (m *meeting) edits(p *arriving) bool { return m.on == UpdateConflict && !p.elsewhere }

// touches reports whether the arrival changes by what somebody is found or lets them in, or
// shuts them out. edits is true if it changes their profile.
func (m *meeting) touches(p *arriving, a *Arrival, edits bool) bool {
	if a.Suspended && p.user.Status == db.Active || a.PasswordHash != "" && !p.hasPassword {
		return true
	}
	for _, account := range a.Identities {
		if _, known := m.accounts[foreignName{account.Provider, account.Subject}]; !known {
			return true
		}
	}
	if !edits {
		return false
	}
	edited := *p.user
	a.edit(&edited)
	return identityOf(&edited) != identityOf(p.user)
}

// note notes what the person is to have, and reports whether that is more than before.
func (m *meeting) note(p *arriving, a *Arrival, places []Place) (changed bool, warnings []ArrivalFault) {
	if p.elsewhere {
		return true, nil
	}
	if a.Suspended && p.user.Status == db.Active && !p.suspends {
		p.suspends, changed = true, true
	}
	if a.PasswordHash != "" && !p.hasPassword {
		p.hash, p.hasPassword, changed = a.PasswordHash, true, true
	}
	for _, account := range a.Identities {
		name := foreignName{account.Provider, account.Subject}
		owner, known := m.accounts[name]
		switch {
		case !known:
			m.accounts[name] = p.user.ID
			p.accounts, changed = append(p.accounts, account), true
		case owner != p.user.ID:
			warnings = append(warnings, ArrivalFault{CodeConflict, "identities", "Another user signs in by this account of " + account.Provider + "; it was left out."})
		}
	}
	for i := range places {
		changed = m.join(p, &places[i]) || changed
	}
	return changed, warnings
}

// join notes that the person comes to the place, and reports whether that changes anything.
func (m *meeting) join(p *arriving, place *Place) (changed bool) {
	member := p.members[place.Organization]
	if member == nil {
		member = &joining{
			row:   &db.Membership{ID: db.NewID[db.MembershipKind](), OrgID: place.Organization, UserID: p.user.ID, Status: db.Active},
			isNew: true, defaults: len(place.Roles) == 0 && !place.NoDefaults, held: map[uuid.UUID]bool{}, given: map[string][]uuid.UUID{},
		}
		p.members[place.Organization], changed = member, true
	}
	if !slices.Contains(p.joined, place.Organization) {
		p.joined = append(p.joined, place.Organization)
	}
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		for _, target := range place.grantTargets(kind) {
			if !member.held[target] {
				member.held[target], changed = true, true
				member.given[kind.name] = append(member.given[kind.name], target)
			}
		}
	}
	return changed
}

// places returns the places that the person comes to, and what is wrong with any of them.
func (m *meeting) places(a *Arrival, isNew bool) (come []Place, wrong []ArrivalFault) {
	for i, place := range a.Places {
		if place.Fallback && !isNew && !place.grants() {
			continue
		}
		field := "places." + strconv.Itoa(i)
		if fault := m.mayCome(&place, isNew, field); fault != nil {
			wrong = append(wrong, *fault)
			continue
		}
		wrong = append(wrong, m.mayGive(&place, field)...)
		come = append(come, place)
	}
	return come, wrong
}

// mayCome returns why the actor must not bring anybody to the place, or nil. An
// organization that the actor must not know of is as good as none.
func (m *meeting) mayCome(place *Place, isNew bool, field string) *ArrivalFault {
	forbidden := &ArrivalFault{CodeForbidden, field, "This needs the permission " + string(access.MembersWrite) + "."}
	if place.Make != "" && place.Organization.IsZero() {
		if !m.actor.HoldsEverywhere(access.OrganizationsWrite) || !m.actor.HoldsEverywhere(access.MembersWrite) {
			return &ArrivalFault{CodeForbidden, field, "You need " + string(access.OrganizationsWrite) + " and " + string(access.MembersWrite) + " for the business to make organizations."}
		}
		return nil
	}
	org := m.organizations[place.Organization]
	switch {
	case org != nil && (m.actor.Holds(access.MembersWrite, org.ID) || org.IsDefault && isNew && !place.grants()):
		return nil
	case org != nil && mayKnow(m.actor, org):
		return forbidden
	}
	return &ArrivalFault{CodeUnknownOrganization, field, "There is no such organization."}
}

// mayGive returns why the actor must not hand out what the place grants.
func (m *meeting) mayGive(place *Place, field string) (wrong []ArrivalFault) {
	for _, role := range place.Roles {
		if found := m.catalogue.Role(role); found == nil || found.DeletedAt != nil {
			wrong = append(wrong, ArrivalFault{CodeUnknownRole, field, "The role is no longer there."})
		} else if why := m.allow(place.Organization, access.Item{ID: uuid.UUID(role), Permissions: m.catalogue.RolePermissions(role)}).why; why != "" {
			wrong = append(wrong, ArrivalFault{CodeEscalation, field, why})
		}
	}
	for _, permission := range place.Permissions {
		if found := m.catalogue.Permission(permission); found == nil || found.DeletedAt != nil {
			wrong = append(wrong, ArrivalFault{CodeUnknownPermission, field, "The permission is no longer there."})
		} else if why := m.allow(place.Organization, access.Item{ID: uuid.UUID(permission), Permissions: []*db.Permission{found}}).why; why != "" {
			wrong = append(wrong, ArrivalFault{CodeEscalation, field, why})
		}
	}
	return wrong
}

// allow returns whether the actor may hand out the item in the organization, or anywhere if
// that is zero.
func (m *meeting) allow(org db.OrganizationID, item access.Item) allowed {
	name := handoutName{org, item.ID}
	known, found := m.allowed[name]
	if found {
		return known
	}
	h := access.Handout{By: access.MembersWrite, Items: []access.Item{item}}
	if !org.IsZero() {
		h.Organization = &org
	}
	allowance, refused := m.authority.Allow(h)
	known = allowed{by: allowance}
	if !refused.Empty() {
		known.why = tellRefusal(refused)
	}
	m.allowed[name] = known
	return known
}

// Foresee returns what would become of the arrivals, in their order, and changes nothing but
// their ids: User is then whom an arrival is. earlier are the owners of names (see
// Arrival.Names) of which only that is known that an earlier arrival of the same source has
// brought them. The actor must be allowed to write users.
func (d *Directory) Foresee(ctx context.Context, arrivals []*Arrival, on OnConflict, earlier map[string]db.UserID) ([]Arrived, error) {
	if err := access.Require(ctx, access.UsersWrite); err != nil {
		return nil, err
	}
	m, err := d.meet(ctx, arrivals, on)
	if err != nil {
		return nil, err
	}
	all := make([]Arrived, len(arrivals))
	for i, a := range arrivals {
		m.knowEarlier(a, earlier)
		all[i] = m.take(a)
		if all[i].Outcome == db.ImportUpdate {
			a.Again = m.people[a.User].madeHere
		}
	}
	return all, nil
}

// knowEarlier notes who was named by an earlier arrival that is not at hand.
func (m *meeting) knowEarlier(a *Arrival, earlier map[string]db.UserID) {
	for i, name := range a.Names() {
		owner, named := earlier[name]
		if !named {
			continue
		}
		if m.people[owner] == nil {
			m.people[owner] = &arriving{user: &db.User{ID: owner, Status: db.Active}, madeHere: true, elsewhere: true, members: map[db.OrganizationID]*joining{}}
		}
		m.owners[a.names()[i]] = owner
	}
}
