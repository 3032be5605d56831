package access

import (
	"context"
	"slices"
	"strings"

	"roster/db"
	"roster/problem"
)

// Actor is on whose behalf a request runs: an API key, or the server itself.
type Actor struct {
	// Key is the API key that the request carries; nil for the server itself.
	Key *db.APIKey
	// User is whom the key stands for; nil when it stands for itself.
	User *db.UserID
	// System names the part of the server that acts; empty for an API key.
	System string
	// Permissions are those that the actor holds, ordered by key: in Organization
	// or, when that is nil, everywhere.
	Permissions  []Permission
	Organization *db.OrganizationID
}

// System gives the actor for what the server does by itself; it may do
// everything.
func System(name string) *Actor {
	return &Actor{System: name, Permissions: sorted(all())}
}

func sorted(keys []Permission) []Permission {
	slices.Sort(keys)
	return keys
}

// systemPrefix begins the text form of the server's own parts.
const systemPrefix = "system:"

// String is the text form by which rows refer to the actor: the id of the API
// key, also of one that stands for a user, or "system:" and a name.
func (a *Actor) String() string {
	if a.Key != nil {
		return a.Key.ID.String()
	}
	return systemPrefix + a.System
}

// ParseActor reads the text form: it gives the user or the API key, or else the
// name of the part of the server that acted.
func ParseActor(text string) (user *db.UserID, key *db.APIKeyID, system string) {
	if id, err := db.ParseID[db.UserKind](text); err == nil {
		return &id, nil, ""
	}
	if id, err := db.ParseID[db.APIKeyKind](text); err == nil {
		return nil, &id, ""
	}
	return nil, nil, strings.TrimPrefix(text, systemPrefix)
}

// Holds tells whether the actor holds the permission in that organization.
func (a *Actor) Holds(permission Permission, org db.OrganizationID) bool {
	return a.HoldsSomewhere(permission) && (a.Organization == nil || *a.Organization == org)
}

// HoldsEverywhere tells whether the actor holds the permission for the business
// as a whole.
func (a *Actor) HoldsEverywhere(permission Permission) bool {
	return a.HoldsSomewhere(permission) && a.Organization == nil
}

// HoldsSomewhere tells whether the actor holds the permission in any
// organization.
func (a *Actor) HoldsSomewhere(permission Permission) bool {
	_, found := slices.BinarySearch(a.Permissions, permission)
	return found
}

// Is tells whether the actor acts for the user, and for all of them if there are
// several. Users may always read what is their own.
func (a *Actor) Is(users ...db.UserID) bool {
	return a != nil && a.User != nil && !slices.ContainsFunc(users, func(id db.UserID) bool { return id != *a.User })
}

type actorKey struct{}

// WithActor gives a context on which everything runs on behalf of the actor.
func WithActor(ctx context.Context, actor *Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorOf gives the actor of ctx; nil when the request carries no credential.
func ActorOf(ctx context.Context) *Actor {
	actor, _ := ctx.Value(actorKey{}).(*Actor)
	return actor
}

// Require checks that the actor of ctx holds the permission for the business as
// a whole. It fails with UNAUTHENTICATED or FORBIDDEN.
func Require(ctx context.Context, permission Permission) error {
	actor := ActorOf(ctx)
	switch {
	case actor == nil:
		return problem.New(problem.Unauthenticated, "This needs a credential: send an API key as \"Authorization: Bearer rk_…\".")
	case !actor.HoldsEverywhere(permission):
		return forbidden(permission)
	}
	return nil
}

// ScopeOf tells where the actor of ctx holds the permission: everywhere (nil), or
// in one organization. It fails with UNAUTHENTICATED or, when the actor holds
// it nowhere, FORBIDDEN.
func ScopeOf(ctx context.Context, permission Permission) (*db.OrganizationID, error) {
	actor := ActorOf(ctx)
	if actor != nil && actor.HoldsSomewhere(permission) {
		return actor.Organization, nil
	}
	return nil, Require(ctx, permission)
}

func forbidden(permission Permission) error {
	return problem.New(problem.Forbidden, "This needs the permission %s.", permission)
}
