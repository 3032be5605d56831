package access

import (
	"crypto/sha256"
	"encoding/binary"

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

// slot returns the key under which the cache keeps the name. Names can share a slot,
// so an entry carries its name.
func (n *Name) slot() uint64 { return binary.BigEndian.Uint64(n[:]) }

// nameEntry is the id that a name stood for when epoch was the engine's epoch.
type nameEntry struct {
	name  Name
	id    uuid.UUID
	epoch uint64
}

// LookupName returns the id of the user or organization that the name stands for. It
// reports false if memory does not know: then the database has to be asked. A known
// id is as current as the answers of Check, since a change of a user or organization
// ends all entries of its names. Names that nobody has are never known.
func (e *Engine) LookupName(name Name) (id uuid.UUID, known bool) {
	if e.names == nil || !e.fresh(e.now()) {
		return uuid.UUID{}, false
	}
	n, ok := e.names.Get(name.slot())
	if !ok || n.name != name || n.epoch < e.floors.names[idHash(n.id)%stripes].Load() || n.epoch < e.floors.all.Load() {
		return uuid.UUID{}, false
	}
	return n.id, true
}

// Epoch returns the number of the last invalidation. Read it before asking the
// database what a name stands for, and pass it to Remember.
func (e *Engine) Epoch() uint64 { return e.epoch.Load() }

// Remember keeps what a name stands for, according to the database at that epoch or
// later. The caller must not have read it within a transaction, which may be undone.
func (e *Engine) Remember(name Name, id uuid.UUID, epoch uint64) {
	if e.names != nil {
		e.names.Set(name.slot(), &nameEntry{name: name, id: id, epoch: epoch}, 1)
	}
}
