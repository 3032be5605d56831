package directory

import (
	"context"
	"encoding/json"

	"roster/access"
	"roster/credential"
	"roster/db"
)

// This file says what is shown of those who did something, and of users whom the actor may not see.

// ActorsByID reads users who did something that the actor may see. Their order is
// undefined. Users whom the actor may not read have no profile; tombstones are
// included, because history refers to them.
func (d *Directory) ActorsByID(ctx context.Context, ids []db.UserID) ([]db.User, error) {
	users, err := d.UsersByID(ctx, ids, nil)
	actor := access.ActorOf(ctx)
	if err != nil || actor.HoldsEverywhere(access.UsersRead) {
		return users, err
	}
	isMember := map[access.MemberKey]bool{}
	if org := actor.Organization; org != nil && actor.Holds(access.UsersRead, *org) {
		members := make([]access.MemberKey, len(ids))
		for i, id := range ids {
			members[i] = access.MemberKey{User: id, Organization: *org}
		}
		if isMember, err = d.areMembers(ctx, members); err != nil {
			return nil, err
		}
	}
	for i := range users {
		user := &users[i]
		visible := actor.Organization != nil && isMember[access.MemberKey{User: user.ID, Organization: *actor.Organization}]
		if !visible && !actor.Is(user.ID) && user.DeletedAt == nil {
			hideProfile(user)
		}
	}
	return users, nil
}

// hiddenName is the name of users whose profile the actor does not see.
const hiddenName = "Hidden user"

// hideProfile leaves of a user the id, the time of creation, which the id tells, and
// whether they are suspended.
func hideProfile(user *db.User) {
	*user = db.User{
		ID: user.ID, Name: hiddenName, Status: user.Status, Properties: json.RawMessage("{}"), CreatedAt: user.CreatedAt, UpdatedAt: user.CreatedAt,
	}
}

// The name, prefix and creator of API keys that the actor does not manage.
const (
	hiddenKeyName    = "Hidden API key"
	hiddenKeyPrefix  = "rk_"
	hiddenKeyCreator = "hidden"
)

// managesKey reports whether the actor sees all of the key: it manages the key, or is
// that key.
func managesKey(actor *access.Actor, key *db.APIKey) bool {
	return actor.HoldsEverywhere(access.KeysWrite) || key.OrgID != nil && actor.Holds(access.KeysWrite, *key.OrgID) ||
		actor.Key != nil && actor.Key.ID == key.ID
}

// hideKey leaves of an API key the id and the time of creation, which the id tells.
func hideKey(key *db.APIKey) {
	*key = db.APIKey{ID: key.ID, Name: hiddenKeyName, Prefix: hiddenKeyPrefix, CreatedAt: key.CreatedAt, CreatedBy: access.System(hiddenKeyCreator).String()}
}

// hiddenApplicationName is the name of applications that the actor does not see.
const hiddenApplicationName = "Hidden application"

// hideApplication leaves of an application the id, the time of creation, which the id tells,
// and the kind.
func hideApplication(app *db.Application) {
	*app = db.Application{ID: app.ID, Name: hiddenApplicationName, Kind: app.Kind, CreatedAt: app.CreatedAt, RedirectURLs: []string{}, LogoutURLs: []string{}, Audiences: []string{}}
}

// AbsentActor returns the actor with that text form, who makes no request, as they are now:
// with what they may do, or nil if they are no more. A person acts in the organization or, if
// they may not, in another one: what they hold for the business counts in all.
func (d *Directory) AbsentActor(ctx context.Context, text string, org db.OrganizationID) (*access.Actor, error) {
	party := access.ParseActor(text)
	key := party.Key
	switch {
	case !party.User.IsZero():
		return d.absent(ctx, party.User, org)
	case !party.Application.IsZero():
		key = db.APIKeyID(party.Application) // what it may do
	case key.IsZero():
		return access.System(party.System), nil
	}
	working, err := credential.SelectWorking(ctx, d.db, key)
	if err != nil || working == nil {
		return nil, err
	}
	return d.actorOfKey(ctx, working)
}

// absent returns the actor of a person who makes no request, in the organization or else in
// the first one that they may act in; nil if they may act nowhere.
func (d *Directory) absent(ctx context.Context, user db.UserID, org db.OrganizationID) (*access.Actor, error) {
	others, err := d.ActsIn(ctx, user)
	if err != nil {
		return nil, err
	}
	actor := &access.Actor{User: &user, Session: &db.Session{UserID: user}}
	for _, at := range append([]db.OrganizationID{org}, others...) {
		if may, err := d.actIn(ctx, actor, at); may || err != nil {
			return actor, err
		}
	}
	return nil, nil
}
