package access

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// Name is what a user or an organization is called other than by its id, as a
// hash: what is erased from the database does not live on in memory.
type Name [sha256.Size]byte

// NewName gives the name of that of which a column of a table has the value.
func NewName(table, column, value string) Name {
	return sha256.Sum256([]byte(table + "." + column + "=" + value))
}

// slot is where the cache keeps a name. Two may share it, so that entries say
// whose they are.
func (n *Name) slot() uint64 { return binary.BigEndian.Uint64(n[:]) }

// named is what a name stood for when the engine's epoch was that.
type named struct {
	name  Name
	id    uuid.UUID
	epoch uint64
}

// Named gives the id of the user or organization that a name stands for, if
// memory knows; else the database has to be asked. It is as good as the answers
// of Check: a change of a user or organization ends all that is known of its
// names. Of names that nobody has, nothing is known.
func (e *Engine) Named(name Name) (id uuid.UUID, known bool) {
	if e.names == nil || !e.fresh(e.now()) {
		return uuid.UUID{}, false
	}
	n, ok := e.names.Get(name.slot())
	if !ok || n.name != name || n.epoch < e.floors.names[idHash(n.id)%stripes].Load() || n.epoch < e.floors.all.Load() {
		return uuid.UUID{}, false
	}
	return n.id, true
}

// Epoch is to be read before the database is asked for what a name stands for.
func (e *Engine) Epoch() uint64 { return e.epoch.Load() }

// Remember notes what a name stands for, as the database said at that epoch or
// later; not within a transaction.
func (e *Engine) Remember(name Name, id uuid.UUID, epoch uint64) {
	if e.names != nil {
		e.names.Set(name.slot(), &named{name: name, id: id, epoch: epoch}, 1)
	}
}
