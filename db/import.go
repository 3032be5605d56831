package db

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// ImportStatus is how far an import has come.
type ImportStatus string

// The states of imports. Servers work on those that end in "ING".
const (
	ImportPlanning  ImportStatus = "PLANNING"
	ImportPlanned   ImportStatus = "PLANNED"
	ImportApplying  ImportStatus = "APPLYING"
	ImportApplied   ImportStatus = "APPLIED"
	ImportUndoing   ImportStatus = "UNDOING"
	ImportUndone    ImportStatus = "UNDONE"
	ImportFailed    ImportStatus = "FAILED"
	ImportCancelled ImportStatus = "CANCELLED"
)

// Import is a row of imports: a file of users, what is to be done with it, and how far that
// has come.
type Import struct {
	bun.BaseModel `bun:"table:imports,alias:im" json:"-"`

	ID ImportID `bun:",pk" json:"id"`
	// UploadID names the file, until all of it was read.
	UploadID   *uuid.UUID      `json:"-"`
	FileName   string          `json:"fileName"`
	Format     string          `json:"format"`
	Encoding   string          `json:"encoding"`
	Status     ImportStatus    `json:"status"`
	OnConflict string          `json:"-"`
	OnUnknown  string          `json:"-"`
	OrgID      OrganizationID  `json:"-"`
	Columns    json.RawMessage `bun:"type:jsonb" json:"-"`
	// Firebase has the sealed parameters of Firebase's hashes, or is nil.
	Firebase []byte `json:"-"`
	// RowsTotal is how many rows were read so far, and RowsDone how many of them, from the
	// first, are in effect.
	RowsTotal  int        `json:"rowsTotal"`
	RowsDone   int        `json:"rowsDone"`
	Creates    int        `json:"creates"`
	Updates    int        `json:"updates"`
	Skips      int        `json:"skips"`
	Failures   int        `json:"failures"`
	Error      *string    `json:"error"`
	ErrorCode  *string    `json:"errorCode"`
	CreatedBy  string     `json:"-"`
	CreatedAt  time.Time  `json:"createdAt"`
	FinishedAt *time.Time `json:"finishedAt"`
	// Actor is the text form of the actor on whose authority it goes on, and ActorOrgID the
	// organization where a person acts.
	Actor      string          `json:"-"`
	ActorOrgID *OrganizationID `json:"-"`
	// Withdrawn is true once somebody has begun to undo it: it is not applied any more.
	Withdrawn bool `json:"-"`
	// Worker is the server that works on it, which the others leave to it until ClaimedUntil.
	Worker       *uuid.UUID `json:"-"`
	ClaimedUntil time.Time  `json:"-"`
}

// ImportOutcome is what a row of an import does.
type ImportOutcome string

// The outcomes of rows.
const (
	ImportCreate ImportOutcome = "CREATE"
	ImportUpdate ImportOutcome = "UPDATE"
	ImportSkip   ImportOutcome = "SKIP"
	ImportFail   ImportOutcome = "FAIL"
)

// ImportRow is a row of import_rows: what becomes, or has become, of one record of a file.
type ImportRow struct {
	bun.BaseModel `bun:"table:import_rows,alias:ir" json:"-"`

	ImportID ImportID      `bun:",pk" json:"-"`
	Number   int           `bun:",pk" json:"-"`
	Line     int           `json:"line"`
	Outcome  ImportOutcome `json:"outcome"`
	UserID   *UserID       `json:"-"`
	Email    *string       `json:"email"`
	// Errors and Warnings are lists of {code, message, column}; nil if there are none.
	Errors   json.RawMessage `bun:"type:jsonb" json:"errors"`
	Warnings json.RawMessage `bun:"type:jsonb" json:"warnings"`
}
