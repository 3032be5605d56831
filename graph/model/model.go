// Package model has the Go types of the schema that are neither rows nor inputs
// of the directory: payloads, which gqlgen generates, and those below.
package model

import (
	"time"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/impact"
)

// Pages of each kind of thing.
type (
	UserConnection         = list.Connection[db.User]
	OrganizationConnection = list.Connection[db.Organization]
	MembershipConnection   = list.Connection[db.Membership]
	PermissionConnection   = list.Connection[db.Permission]
	RoleConnection         = list.Connection[db.Role]
	ApiKeyConnection       = list.Connection[db.APIKey]
	ChangeConnection       = list.Connection[db.Change]
	ImpactConnection       = list.Connection[impact.PermissionChange]
	SessionConnection      = list.Connection[db.Session]
	SignInConnection       = list.Connection[db.SignIn]
	InvitationConnection   = list.Connection[db.Invitation]
	ImportConnection       = list.Connection[db.Import]
	ImportRowConnection    = list.Connection[db.ImportRow]

	UserEdge         = list.Edge[db.User]
	OrganizationEdge = list.Edge[db.Organization]
	MembershipEdge   = list.Edge[db.Membership]
	PermissionEdge   = list.Edge[db.Permission]
	RoleEdge         = list.Edge[db.Role]
	ApiKeyEdge       = list.Edge[db.APIKey]
	ChangeEdge       = list.Edge[db.Change]
	ImpactEdge       = list.Edge[impact.PermissionChange]
	SessionEdge      = list.Edge[db.Session]
	SignInEdge       = list.Edge[db.SignIn]
	InvitationEdge   = list.Edge[db.Invitation]
	ImportEdge       = list.Edge[db.Import]
	ImportRowEdge    = list.Edge[db.ImportRow]
)

// Node is a row that has an id: a pointer to one of package db.
type Node any

// Actor is who did something: a *db.User, a *db.APIKey, a *db.Application or a *System.
type Actor any

// System is the server itself as an actor.
type System struct{ Name string }

// Viewer is the caller of a request.
type Viewer struct{ Actor *access.Actor }

// APIKey is the one that the request carries. An application has none.
func (v *Viewer) APIKey() *db.APIKey {
	if v.Actor.Key != nil && v.Actor.Key.IsApplication {
		return nil
	}
	return v.Actor.Key
}

// Session is the one of the request.
func (v *Viewer) Session() *db.Session {
	if !v.Actor.SignedIn() {
		return nil
	}
	return v.Actor.Session
}

// SignInResult is how a step of signing in ended: a *db.Session or a *SignInStep.
type SignInResult any

// SignInStep is what is still needed to sign in.
type SignInStep struct {
	Ticket    string
	Next      SignInNext
	ExpiresAt time.Time
	Choices   []db.OrganizationID
}

// AccessToken is a token by which another server knows who asks.
type AccessToken struct {
	Token     string
	ExpiresAt time.Time
	In        db.OrganizationID
}
