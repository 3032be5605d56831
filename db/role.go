package db

import (
	"time"

	"github.com/uptrace/bun"
)

// Permission is a row of permissions.
type Permission struct {
	bun.BaseModel `bun:"table:permissions,alias:p" json:"-"`

	ID          PermissionID `bun:",pk" json:"id"`
	Key         string       `json:"key"`
	Name        string       `json:"name"`
	Description *string      `json:"description"`
	IsSystem    bool         `json:"isSystem"`
	CreatedAt   time.Time    `json:"createdAt"`
	DeletedAt   *time.Time   `json:"-"`
}

// FormerKey is a row of former_keys: a key that a permission had before, and by
// which it still answers until that moment.
type FormerKey struct {
	bun.BaseModel `bun:"table:former_keys" json:"-"`

	Key          string       `bun:",pk" json:"key"`
	PermissionID PermissionID `json:"-"`
	Until        time.Time    `json:"until"`
}

// Role is a row of roles.
type Role struct {
	bun.BaseModel `bun:"table:roles,alias:r" json:"-"`

	ID          RoleID     `bun:",pk" json:"id"`
	Key         string     `json:"key"`
	Name        string     `json:"name"`
	Description *string    `json:"description"`
	IsSystem    bool       `json:"isSystem"`
	IsDefault   bool       `json:"isDefault"`
	Version     int        `json:"version"`
	CreatedAt   time.Time  `json:"createdAt"`
	UpdatedAt   time.Time  `json:"updatedAt"`
	DeletedAt   *time.Time `json:"-"`
}

// RolePermission is a row of role_permissions: the fact that a role contains a
// permission, from granted_at until revoked_at.
type RolePermission struct {
	bun.BaseModel `bun:"table:role_permissions,alias:rp"`

	RoleID       RoleID
	PermissionID PermissionID
	GrantedAt    time.Time
	GrantedBy    string
	RevokedAt    *time.Time
	RevokedBy    *string
}
