package directory

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// Many people arrive at once by imports and by createUsers. This file says what is known of
// somebody who arrives; arrival_meet.go finds out whom they are and what they may be given,
// and arrival_write.go puts all of them in with a handful of statements.

// OnConflict is what becomes of somebody who arrives with a profile and is there already.
type OnConflict string

// The ways to treat those who are there already. Arrivals that only add something, such as
// roles, are no conflict.
const (
	SkipConflict   OnConflict = "SKIP"
	UpdateConflict OnConflict = "UPDATE"
	FailConflict   OnConflict = "FAIL"
)

// Arrival is a person who arrives: somebody new, or somebody who is there already and takes
// what the arrival has a value for. Roles, permissions and organizations are added, never
// taken away.
type Arrival struct {
	// User is the id that somebody new gets.
	User db.UserID `json:"user"`
	// Known is the id of the user if the source knows it, or zero.
	Known db.UserID `json:"known,omitzero"`
	// Again is true if an earlier arrival of the same source has made the user with the id
	// User: this one adds to it, and is no conflict.
	Again bool `json:"again,omitempty"`

	Email         *string         `json:"email,omitempty"`
	EmailVerified *bool           `json:"emailVerified,omitempty"`
	Username      *string         `json:"username,omitempty"`
	Phone         *string         `json:"phone,omitempty"`
	GivenName     *string         `json:"givenName,omitempty"`
	FamilyName    *string         `json:"familyName,omitempty"`
	PictureURL    *string         `json:"pictureUrl,omitempty"`
	ExternalID    *string         `json:"externalId,omitempty"`
	Properties    json.RawMessage `json:"properties,omitempty"`
	// Suspended suspends the user. Nobody is restored by arriving.
	Suspended bool `json:"suspended,omitempty"`
	// PasswordHash is the stored form of the hash of a password, for a user who has none.
	PasswordHash string           `json:"passwordHash,omitempty"`
	Identities   []ForeignAccount `json:"identities,omitempty"`

	// OtherIDs are other forms of the external id, by which the user may be known here.
	OtherIDs []string `json:"otherIds,omitempty"`
	// Places are the organizations that the person joins.
	Places []Place `json:"places,omitempty"`
}

// ForeignAccount is an account of a person at an identity provider: its issuer or, if that is
// not known, a name of the provider, and the subject there.
type ForeignAccount struct {
	Provider string `json:"provider"`
	Subject  string `json:"subject"`
	Email    string `json:"email,omitempty"`
}

// Place is an organization to join, with what the person is given there.
type Place struct {
	Organization db.OrganizationID `json:"organization,omitzero"`
	// Make is the external id of an organization that is still to be made, or empty. It has
	// to be there before anybody arrives.
	Make string `json:"make,omitempty"`
	// Roles are granted to members, old and new. Without any, somebody who joins gets the
	// default ones.
	Roles       []db.RoleID       `json:"roles,omitempty"`
	Permissions []db.PermissionID `json:"permissions,omitempty"`
	// Fallback is true if the source names no organization: somebody who is there already
	// joins it only for the sake of what they are given.
	Fallback bool `json:"fallback,omitempty"`
	// NoDefaults is true if somebody who joins gets no default roles either.
	NoDefaults bool `json:"noDefaults,omitempty"`
}

// grants reports whether something is granted at the place.
func (p *Place) grants() bool { return len(p.Roles)+len(p.Permissions) > 0 }

// The codes of faults. Where Auth0's imports have one for the same, it is that.
const (
	CodeConflict            = "CONFLICT"
	CodeConflictEmail       = "CONFLICT_EMAIL"
	CodeConflictUsername    = "CONFLICT_USERNAME"
	CodeDuplicatedUser      = "DUPLICATED_USER"
	CodeAnyOfMissing        = "ANY_OF_MISSING"
	CodeFormat              = "FORMAT"
	CodeUnknownOrganization = "UNKNOWN_ORGANIZATION"
	CodeUnknownRole         = "UNKNOWN_ROLE"
	CodeUnknownPermission   = "UNKNOWN_PERMISSION"
	CodeEscalation          = "ESCALATION"
	// CodeForbidden is for what the actor must not do at all, whatever is handed out.
	CodeForbidden = "FORBIDDEN"
)

// ArrivalFault is something that is wrong with an arrival. Field is the name of its field,
// such as "email" or "places.1", or empty.
type ArrivalFault struct{ Code, Field, Message string }

// Clean brings the texts of the arrival into the form in which they are stored, and returns
// what is wrong with them.
func (a *Arrival) Clean() []ArrivalFault {
	f := faults{&problem.List{}}
	a.Email = f.email("email", a.Email)
	a.Username = f.username("username", a.Username)
	a.Phone = f.phone("phone", a.Phone)
	a.GivenName = f.text("givenName", a.GivenName, maxName)
	a.FamilyName = f.text("familyName", a.FamilyName, maxName)
	a.PictureURL = f.url("pictureUrl", a.PictureURL)
	a.ExternalID = f.identifier("externalId", a.ExternalID, maxExternalID)
	if a.Properties != nil {
		a.Properties = f.properties("properties", a.Properties)
	}
	wrong := make([]ArrivalFault, len(*f.List))
	for i, fault := range *f.List {
		wrong[i] = ArrivalFault{CodeFormat, fault.Field, fault.Message}
	}
	return wrong
}

// Names returns what the arrival is found by. Each is unlike all names of other kinds, and
// the same for every form of writing it.
func (a *Arrival) Names() []string {
	var names []string
	for _, name := range a.names() {
		names = append(names, name.column+" "+name.key)
	}
	return names
}

// arrivalName is something by which somebody is found: a column of users, and a value in it.
type arrivalName struct{ column, key string }

// The columns by which people are found, in the order in which they decide.
const (
	externalIDColumn = "external_id_key"
	emailColumn      = "email_key"
	usernameColumn   = "username_key"
	phoneColumn      = "phone"
)

// names returns what the arrival is found by, in the order in which it decides. A phone
// number counts only for somebody who has nothing else.
func (a *Arrival) names() []arrivalName {
	var names []arrivalName
	add := func(column string, text *string, fold func(string) string) {
		if text != nil && *text != "" {
			names = append(names, arrivalName{column, fold(*text)})
		}
	}
	add(externalIDColumn, a.ExternalID, db.Fold)
	add(emailColumn, a.Email, db.EmailKey)
	add(usernameColumn, a.Username, db.Fold)
	if len(names) == 0 && a.Known.IsZero() {
		add(phoneColumn, a.Phone, func(text string) string { return text })
	}
	return names
}

// namesOf returns what the user is found by.
func namesOf(u *db.User) []arrivalName {
	a := Arrival{ExternalID: u.ExternalID, Email: u.Email, Username: u.Username, Phone: u.Phone}
	names := a.names()
	keys := map[string]*string{externalIDColumn: u.ExternalIDKey, emailColumn: u.EmailKey, usernameColumn: u.UsernameKey}
	for i := range names {
		if key := keys[names[i].column]; key != nil {
			names[i].key = *key // which may follow an older rule
		}
	}
	return names
}

// hasProfile reports whether the arrival says more of the person than by what they are
// found.
func (a *Arrival) hasProfile() bool {
	return a.GivenName != nil || a.FamilyName != nil || a.PictureURL != nil || len(a.Properties) > 0 || a.Suspended ||
		a.Phone != nil && len(a.names()) > 0 && a.names()[0].column != phoneColumn
}

// newcomerUser returns the user that somebody new becomes.
func (a *Arrival) newcomerUser() *db.User {
	user := &db.User{ID: a.User, Status: db.Active, Version: 1, Properties: json.RawMessage("{}")}
	a.edit(user)
	return user
}

// edit changes the user to what the arrival has values for. It leaves the status alone.
func (a *Arrival) edit(user *db.User) {
	before := *user
	if a.Email != nil {
		if user.Email == nil || db.EmailKey(*a.Email) != db.EmailKey(*user.Email) {
			user.EmailVerified = false
		}
		user.Email = a.Email
	}
	if a.EmailVerified != nil && user.Email != nil {
		user.EmailVerified = *a.EmailVerified
	}
	for into, value := range map[**string]*string{
		&user.Username: a.Username, &user.Phone: a.Phone, &user.GivenName: a.GivenName, &user.FamilyName: a.FamilyName,
		&user.PictureURL: a.PictureURL, &user.ExternalID: a.ExternalID,
	} {
		if value != nil {
			*into = value
		}
	}
	if before.ExternalID != nil && slices.ContainsFunc(a.OtherIDs, func(id string) bool { return db.Fold(id) == db.Fold(*before.ExternalID) }) {
		user.ExternalID = before.ExternalID // which says the same
	}
	user.Properties = mergedProperties(user.Properties, a.Properties)
	user.DeriveFrom(&before)
}

// mergedProperties returns the properties, each of which the newer ones replace.
func mergedProperties(old, newer json.RawMessage) json.RawMessage {
	if len(newer) == 0 || string(newer) == "{}" {
		return old
	}
	all := map[string]json.RawMessage{}
	if json.Unmarshal(old, &all) != nil || json.Unmarshal(newer, &all) != nil {
		return old // which cannot be: both are objects
	}
	text, err := json.Marshal(all)
	if err != nil {
		return old
	}
	merged, err := storedObject(text)
	if err != nil {
		return old
	}
	return merged
}

// grantTargets returns what the place grants, by kind.
func (p *Place) grantTargets(kind grantKind) []uuid.UUID {
	if kind.table == roleGrants.table {
		return raw(p.Roles)
	}
	return raw(p.Permissions)
}

// PlaceOfStrays returns the organization for people of whom nobody says where they belong:
// the one that is named, or the default one if ref is nil. It returns nil if the actor does
// not know of such an organization.
func (d *Directory) PlaceOfStrays(ctx context.Context, ref *OrganizationRef) (*db.OrganizationID, error) {
	if ref != nil {
		found, err := d.findOrganizations(ctx, []*OrganizationRef{ref}, nil, forMembers)
		if err != nil || found[0] == nil || found[0].ID == db.Root || !mayKnow(access.ActorOf(ctx), found[0]) {
			return nil, err
		}
		return &found[0].ID, nil
	}
	return db.SelectOne[db.OrganizationID](ctx, d.db, "select id from organizations where is_default")
}

// mayKnow reports whether somebody who brings people may know of the organization.
func mayKnow(actor *access.Actor, org *db.Organization) bool {
	return org.IsDefault || actor.Holds(access.MembersWrite, org.ID) || actor.Holds(access.MembersRead, org.ID) || actor.Holds(access.OrganizationsRead, org.ID)
}

// OrganizationsNamed returns the ids of the organizations with these external ids or, where
// no organization has it, codes. It leaves out other names, and organizations that the actor must
// not know of.
func (d *Directory) OrganizationsNamed(ctx context.Context, names []string) (map[string]db.OrganizationID, error) {
	var keys, codes []string
	for _, name := range names {
		if !tooLarge(name, maxExternalID) && db.Storable(name) {
			keys, codes = append(keys, db.Fold(name)), append(codes, name)
		}
	}
	if len(codes) == 0 {
		return nil, nil
	}
	rows, err := db.Select[db.Organization](ctx, d.db, `select id, code, external_id_key, is_default from organizations
		where deleted_at is null and id <> $3 and (external_id_key = any($1) or code = any($2))`, keys, codes, db.Root)
	if err != nil {
		return nil, err
	}
	actor := access.ActorOf(ctx)
	byCode, byID := map[string]db.OrganizationID{}, map[string]db.OrganizationID{}
	for _, row := range rows {
		if !mayKnow(actor, &row) {
			continue
		}
		byCode[row.Code] = row.ID
		if row.ExternalIDKey != nil {
			byID[*row.ExternalIDKey] = row.ID
		}
	}
	found := make(map[string]db.OrganizationID, len(codes))
	for i, name := range codes {
		if id, there := byID[keys[i]]; there {
			found[name] = id
		} else if id, there := byCode[name]; there {
			found[name] = id
		}
	}
	return found, nil
}

// TargetsNamed returns the ids of the roles and permissions with these keys. It leaves out other
// keys.
func (d *Directory) TargetsNamed(ctx context.Context, roles, permissions []string) (map[string]db.RoleID, map[string]db.PermissionID, error) {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, nil, err
	}
	roleIDs, permissionIDs := map[string]db.RoleID{}, map[string]db.PermissionID{}
	for _, key := range roles {
		if role := catalogue.RoleByKey(key); role != nil {
			roleIDs[key] = role.ID
		}
	}
	for _, key := range permissions {
		if permission := catalogue.PermissionByKey(key); permission != nil {
			permissionIDs[key] = permission.ID
		}
	}
	return roleIDs, permissionIDs, nil
}
