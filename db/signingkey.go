package db

import (
	"time"

	"github.com/uptrace/bun"
)

// SigningKey is a row of signing_keys.
type SigningKey struct {
	bun.BaseModel `bun:"table:signing_keys,alias:sk" json:"-"`

	// KID is the thumbprint of the public key (RFC 7638), by which tokens name it.
	KID string `bun:"kid,pk"`
	// Algorithm is one of RFC 7518, such as "ES256".
	Algorithm string
	// PrivateKey is sealed.
	PrivateKey []byte
	CreatedAt  time.Time
	// SignsFrom is the moment from which it signs, until the next key does.
	SignsFrom time.Time
}
