package db

import (
	"time"

	"github.com/uptrace/bun"
)

// Grant is what the rows of membership_roles and membership_permissions have
// in common: a fact with a lifetime. It holds at a moment t if it was granted
// by then, StartsAt <= t, EndsAt is absent or > t, and RevokedAt is absent or
// > t. Several grants of one thing to one member may hold at the same time: what
// the member holds is their union.
//
// A write at a moment w touched a grant in one of three ways, and its row has the
// time lines of before and after:
//
//	GrantedAt = w                            there was none; StartsAt to EndsAt
//	ShortenedAt = w                          StartsAt to FormerEnd; StartsAt to EndsAt
//	RevokedAt = the later of GrantedAt and w StartsAt to EndsAt; nothing
type Grant struct {
	OrgID     OrganizationID `bun:",pk"`
	UserID    UserID         `bun:",pk"`
	ID        GrantID        `bun:",pk"`
	Live      bool
	StartsAt  time.Time
	EndsAt    *time.Time
	GrantedAt time.Time
	// GrantedBy and RevokedBy are actors in text form, see access.Actor.
	GrantedBy string
	Reason    *string
	RevokedAt *time.Time
	RevokedBy *string
	// ShortenedAt is when EndsAt was last brought forward, and FormerEnd the end
	// until then: nil if there was none.
	ShortenedAt *time.Time
	FormerEnd   *time.Time
}

// RoleGrant is a row of membership_roles.
type RoleGrant struct {
	bun.BaseModel `bun:"table:membership_roles,alias:mr"`
	Grant         `bun:",extend"`
	RoleID        RoleID `bun:",pk"`
}

// PermissionGrant is a row of membership_permissions.
type PermissionGrant struct {
	bun.BaseModel `bun:"table:membership_permissions,alias:mp"`
	Grant         `bun:",extend"`
	PermissionID  PermissionID `bun:",pk"`
}

// GrantTable names a table of grants, and its column with the id of the target.
type GrantTable struct{ Name, Column string }

// The tables of both kinds of grant.
var (
	RoleGrants       = GrantTable{Name: "membership_roles", Column: "role_id"}
	PermissionGrants = GrantTable{Name: "membership_permissions", Column: "permission_id"}
)
