package access

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"roster/db"
	"roster/problem"
)

// Actor is the party that a request runs for: an API key, a signed-in person, an
// application, or the server itself.
type Actor struct {
	// Key is the API key that the request carries, or what the application is that acts for
	// itself (db.APIKey.IsApplication); nil for others.
	Key *db.APIKey
	// Session is the session of the person who is signed in, or nil.
	Session *db.Session
	// User is the person, or the user that the key stands for; nil if it stands for itself.
	User *db.UserID
	// System is the name of the part of the server that acts; empty for all others.
	System string
	// Permissions are the permissions that the actor holds, ordered by key: in
	// Organization or, if that is nil, everywhere. A person's are only the permissions of
	// Roster itself.
	Permissions  []Permission
	Organization *db.OrganizationID
	// Business holds a person's Permissions that count everywhere, ordered by key, since
	// the person holds them for the business as a whole. An API key that works in one
	// organization has none.
	Business []Permission
}

// System returns the actor for what the server does by itself. It may do
// everything.
func System(name string) *Actor {
	permissions := allPermissions()
	slices.Sort(permissions)
	return &Actor{System: name, Permissions: permissions}
}

// Holders returns the parties whose shares the work of the actor takes (see
// queue.WithHolders): the key, the user it stands for, and the organization it is bound
// to. The many keys of one of them have one share.
func (a *Actor) Holders() []any {
	var all []any
	if a.Key != nil {
		all = append(all, a.Key.ID)
	}
	if a.User != nil {
		all = append(all, *a.User)
	}
	if a.Organization != nil {
		all = append(all, *a.Organization)
	}
	return all
}

// systemPrefix begins the text form of an actor that is a part of the server.
const systemPrefix = "system:"

// String returns the text form, by which rows refer to the actor: the id of the API
// key, even if the key stands for a user, the id of the application or the person, or
// "system:" and a name.
func (a *Actor) String() string {
	switch {
	case a.Key != nil && a.Key.IsApplication:
		return db.ApplicationID(a.Key.ID).String()
	case a.Key != nil:
		return a.Key.ID.String()
	case a.Session != nil:
		return a.User.String()
	}
	return systemPrefix + a.System
}

// Party is who a text form of an actor stands for: one of the four.
type Party struct {
	User        db.UserID
	Key         db.APIKeyID
	Application db.ApplicationID
	// System is the name of the part of the server.
	System string
}

// ParseActor parses the text form. A text without any of the prefixes of ids is returned as
// the name of a part of the server.
func ParseActor(text string) (p Party) {
	var err error
	if p.User, err = db.ParseID[db.UserKind](text); err == nil {
		return p
	}
	if p.Key, err = db.ParseID[db.APIKeyKind](text); err == nil {
		return p
	}
	if p.Application, err = db.ParseID[db.ClientKind](text); err == nil {
		return p
	}
	p.System = strings.TrimPrefix(text, systemPrefix)
	return p
}

// Holds reports whether the actor holds the permission in that organization. It reports
// false for a nil actor, as the other methods do.
func (a *Actor) Holds(permission Permission, org db.OrganizationID) bool {
	return a.HoldsEverywhere(permission) || a != nil && a.Organization != nil && *a.Organization == org && a.HoldsSomewhere(permission)
}

// HoldsEverywhere reports whether the actor holds the permission for the business
// as a whole.
func (a *Actor) HoldsEverywhere(permission Permission) bool {
	if a == nil || a.Organization == nil {
		return a.HoldsSomewhere(permission)
	}
	_, found := slices.BinarySearch(a.Business, permission)
	return found
}

// HoldsSomewhere reports whether the actor holds the permission in any
// organization.
func (a *Actor) HoldsSomewhere(permission Permission) bool {
	if a == nil {
		return false
	}
	_, found := slices.BinarySearch(a.Permissions, permission)
	return found
}

// Bound returns the only organization that the actor's credential works in, or nil if it
// works in all. A session works in all organizations of its person, one at a time.
func (a *Actor) Bound() *db.OrganizationID {
	if a == nil || a.Key == nil {
		return nil
	}
	return a.Organization
}

// Is reports whether the actor acts for each of the users, which may always read
// their own data. It reports false for a nil actor.
func (a *Actor) Is(users ...db.UserID) bool {
	return a != nil && a.User != nil && !slices.ContainsFunc(users, func(id db.UserID) bool { return id != *a.User })
}

// Organizations returns the organizations in which what the user is granted counts for
// the actor.
func (a *Actor) Organizations() []db.OrganizationID {
	if a.Organization == nil {
		return []db.OrganizationID{db.Root}
	}
	return []db.OrganizationID{db.Root, *a.Organization}
}

type actorKey struct{}

// WithActor returns a context in which everything runs on behalf of the actor.
func WithActor(ctx context.Context, actor *Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, func() *Actor { return actor })
}

// WithSignIn returns a context of a request that may sign somebody in: from when signedIn
// is called on, everything runs on behalf of that actor.
func WithSignIn(ctx context.Context) (in context.Context, signedIn func(actor *Actor)) {
	var current atomic.Pointer[Actor]
	current.Store(ActorOf(ctx))
	return context.WithValue(ctx, actorKey{}, current.Load), current.Store
}

// ActorOf returns the actor of ctx; nil if the request carries no credential.
func ActorOf(ctx context.Context) *Actor {
	if actor, ok := ctx.Value(actorKey{}).(func() *Actor); ok {
		return actor()
	}
	return nil
}

// Require returns nil if the actor of ctx holds the permission for the business as
// a whole. Otherwise it returns UNAUTHENTICATED or FORBIDDEN.
func Require(ctx context.Context, permission Permission) error {
	actor := ActorOf(ctx)
	switch {
	case actor == nil:
		return problem.New(problem.Unauthenticated, "This needs a credential: sign in, or send an API key as \"Authorization: Bearer rk_…\".")
	case !actor.HoldsEverywhere(permission):
		return Forbidden(permission)
	}
	return nil
}

// RequirePerson returns the actor of ctx if it is a person who is signed in. Otherwise it
// returns UNAUTHENTICATED or FORBIDDEN.
func RequirePerson(ctx context.Context) (*Actor, error) {
	switch actor := ActorOf(ctx); {
	case actor == nil:
		return nil, problem.New(problem.Unauthenticated, "Sign in first.")
	case actor.Session == nil:
		return nil, problem.New(problem.Forbidden, "This is for people who are signed in.")
	default:
		return actor, nil
	}
}

// SignedIn reports whether the actor is a person who has signed in here. A person whom
// somebody else's access token names has no session here.
func (a *Actor) SignedIn() bool { return a != nil && a.Session != nil && !a.Session.ID.IsZero() }

// RequireSession is RequirePerson for what needs a session of this server.
func RequireSession(ctx context.Context) (*Actor, error) {
	actor, err := RequirePerson(ctx)
	if err == nil && !actor.SignedIn() {
		err = problem.New(problem.Forbidden, "This is for people who have signed in here. Your access token is somebody else's.")
	}
	return actor, err
}

// ScopeOf returns where the actor of ctx holds the permission: in one organization,
// or everywhere, which is nil. It returns UNAUTHENTICATED if there is no actor, and
// FORBIDDEN if the actor holds the permission nowhere.
func ScopeOf(ctx context.Context, permission Permission) (*db.OrganizationID, error) {
	actor := ActorOf(ctx)
	if actor != nil && actor.HoldsSomewhere(permission) && !actor.HoldsEverywhere(permission) {
		return actor.Organization, nil
	}
	return nil, Require(ctx, permission)
}

// Forbidden returns the problem of an actor that does not hold the permission.
func Forbidden(permission Permission) error {
	return problem.New(problem.Forbidden, "This needs the permission %s.", permission)
}
