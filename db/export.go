package db

import (
	"time"

	"github.com/uptrace/bun"
)

// ExportFormat is the format of a file with users.
type ExportFormat string

// The formats of exports.
const (
	ExportCSV    ExportFormat = "CSV"
	ExportNDJSON ExportFormat = "NDJSON"
)

// Export is a row of exports: a link by which somebody fetches users, once. It holds only
// the SHA-256 of the link's secret, in Hash.
type Export struct {
	bun.BaseModel `bun:"table:exports,alias:e"`

	Hash []byte `bun:",pk"`
	// CreatedBy is the text form of the actor who asked for it.
	CreatedBy string
	Format    ExportFormat
	// OrgID is the organization whose members it has; nil means all users.
	OrgID *OrganizationID
	// Hashes is true if it has the hashes of passwords.
	Hashes    bool
	ExpiresAt time.Time
}
