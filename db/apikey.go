package db

import (
	"time"

	"github.com/uptrace/bun"
)

// APIKey is a row of api_keys. It holds only the SHA-256 of the secret, in Hash.
type APIKey struct {
	bun.BaseModel `bun:"table:api_keys,alias:k" json:"-"`

	ID        APIKeyID        `bun:",pk" json:"id"`
	Name      string          `json:"name"`
	Prefix    string          `json:"prefix"`
	Hash      []byte          `json:"-"`
	OrgID     *OrganizationID `json:"organizationId"`
	UserID    *UserID         `json:"userId"`
	CreatedAt time.Time       `json:"createdAt"`
	CreatedBy string          `json:"-"`
	// ResponsibleID is the key that answers for this one, which works only as long as that
	// does; nil if a person or the business itself answers for it.
	ResponsibleID *APIKeyID `json:"responsibleId"`
	// ResponsibleUserID is the person who answers for it: it works only as long as they may
	// do anything. It is nil if a key or the business does.
	ResponsibleUserID *UserID    `json:"responsibleUserId"`
	ExpiresAt         *time.Time `json:"expiresAt"`
	LastUsedAt        *time.Time `json:"lastUsedAt"`
	RevokedAt         *time.Time `json:"revokedAt"`
	RevokedBy         *string    `json:"-"`
	// IsApplication is true of what an application of the same id may do: a key without a
	// secret, which is no API key to anybody.
	IsApplication bool `json:"-"`
}

// APIKeyPermission is a row of api_key_permissions.
type APIKeyPermission struct {
	bun.BaseModel `bun:"table:api_key_permissions,alias:akp"`

	APIKeyID     APIKeyID     `bun:"api_key_id,pk"`
	PermissionID PermissionID `bun:",pk"`
}
