package db

import (
	"time"

	"github.com/uptrace/bun"
)

// APIKey is a row of api_keys. The secret itself is not stored: Hash is its
// SHA-256.
type APIKey struct {
	bun.BaseModel `bun:"table:api_keys,alias:k" json:"-"`

	ID         APIKeyID        `bun:",pk" json:"id"`
	Name       string          `json:"name"`
	Prefix     string          `json:"prefix"`
	Hash       []byte          `json:"-"`
	OrgID      *OrganizationID `json:"organizationId"`
	UserID     *UserID         `json:"userId"`
	CreatedAt  time.Time       `json:"createdAt"`
	CreatedBy  string          `json:"-"`
	ExpiresAt  *time.Time      `json:"expiresAt"`
	LastUsedAt *time.Time      `json:"lastUsedAt"`
	RevokedAt  *time.Time      `json:"revokedAt"`
	RevokedBy  *string         `json:"-"`
}

// APIKeyPermission is a row of api_key_permissions.
type APIKeyPermission struct {
	bun.BaseModel `bun:"table:api_key_permissions,alias:akp"`

	APIKeyID     APIKeyID     `bun:"api_key_id,pk"`
	PermissionID PermissionID `bun:",pk"`
}
