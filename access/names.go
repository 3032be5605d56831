package access

import (
	"crypto/sha256"

	"github.com/google/uuid"
)

// Name is a hash of something other than its id that identifies a user or an
// organization, such as an email address. It is a hash so that no personal data
// stays in memory after it was erased from the database.
type Name [sha256.Size]byte

// NewName returns the name of the row with that value in the column of the table.
func NewName(table, column, value string) Name {
	return sha256.Sum256([]byte(table + "." + column + "=" + value))
}

// LookupName returns the id of the user or organization that the name stands for. It
// reports false if memory does not know: then the database has to be asked. A known
// id is as current as the answers of Check, since a change of a user or organization
// ends all entries of its names. Names that nobody has are never known.
func (e *Engine) LookupName(name Name) (id uuid.UUID, known bool) {
	if !e.fresh(e.now()) {
		return uuid.UUID{}, false
	}
	if found := e.names.get(name); found != nil {
		return *found, true
	}
	return uuid.UUID{}, false
}

// Epoch returns the number of the last invalidation. Read it before asking the
// database what a name stands for, and pass it to Remember.
func (e *Engine) Epoch() uint64 { return e.epoch.Load() }

// Remember keeps what a name stands for, according to the database at that epoch or
// later. The caller must not have read it within a transaction, which may be undone.
func (e *Engine) Remember(name Name, id uuid.UUID, epoch uint64) {
	e.names.keep(name, id, epoch, id)
}
