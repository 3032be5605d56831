package db

import (
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Grant is what the rows of membership_roles and membership_permissions have
// in common: a fact with a lifetime. It holds at a moment t when it was granted
// by then, StartsAt <= t, EndsAt is absent or > t, and RevokedAt is absent or
// > t.
type Grant struct {
	OrgID     OrganizationID `bun:",pk"`
	UserID    UserID         `bun:",pk"`
	ID        uuid.UUID      `bun:",pk,type:uuid"`
	Live      bool
	StartsAt  time.Time
	EndsAt    *time.Time
	GrantedAt time.Time
	// GrantedBy and RevokedBy are actors in text form, see access.Actor.
	GrantedBy string
	Reason    *string
	RevokedAt *time.Time
	RevokedBy *string
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
