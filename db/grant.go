package db

import (
	"time"

	"github.com/uptrace/bun"
)

// Grant holds the columns that membership_roles and membership_permissions have in
// common. A grant is a fact with a lifetime: it counts at a moment t if it was granted
// by then, StartsAt <= t, EndsAt is nil or > t, and RevokedAt is nil or > t. Several
// grants of one thing to one member may count at the same time: the member is entitled
// to their union.
//
// A write at a moment w touches a grant in one of three ways, and the row shows its
// term before and after:
//
//	                                         before                 after
//	GrantedAt = w                            none                   StartsAt to EndsAt
//	ShortenedAt = w                          StartsAt to FormerEnd  StartsAt to EndsAt
//	RevokedAt = the later of GrantedAt and w StartsAt to EndsAt     none
type Grant struct {
	OrgID     OrganizationID `bun:",pk"`
	UserID    UserID         `bun:",pk"`
	ID        GrantID        `bun:",pk"`
	Live      bool
	StartsAt  time.Time
	EndsAt    *time.Time
	GrantedAt time.Time
	// GrantedBy and RevokedBy are actors in text form; see access.Actor.
	GrantedBy string
	Reason    *string
	RevokedAt *time.Time
	RevokedBy *string
	// ShortenedAt is when EndsAt was last brought forward, and FormerEnd is the end
	// before that; nil if there was none.
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
