package credential

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// WaitTimeout is how long a look-up waits for the database.
const WaitTimeout = 2 * time.Second

// name is what a credential is looked up by.
type name [sha256.Size]byte

// finder finds the credentials of one kind that work, and remembers them. Each is a row R.
type finder[R any] struct {
	lookUps *lookUps[R]
	// known holds disposable copies. Each says itself whether it still counts.
	known *ristretto.Cache[uint64, *known[R]]
}

// known is a credential that worked at the epoch. It counts while that is the current
// one, and before until.
type known[R any] struct {
	name  name
	row   *R
	epoch uint64
	until time.Time
}

// maxKnown is how many credentials of one kind are remembered. Each takes some 2 kB.
const maxKnown = 10_000

// newFinder returns a finder of the credentials that read returns by their names.
func newFinder[R any](read func(ctx context.Context, names []name) (map[name]*R, error)) *finder[R] {
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *known[R]]{
		NumCounters: 10 * maxKnown, MaxCost: maxKnown, BufferItems: 64, // as its documentation recommends
		IgnoreInternalCost: true, // each entry costs 1
	})
	if err != nil {
		panic(err) // the numbers above are wrong
	}
	return &finder[R]{lookUps: newLookUps(read), known: cache}
}

func (f *finder[R]) close() {
	f.lookUps.work.Wait()
	f.known.Close()
}

// find returns the credential with that name if it works now, or nil. It takes it from
// memory if it was found at the same epoch, for as long as use said when it was read.
// use gets a copy that is not shared yet.
func (f *finder[R]) find(ctx context.Context, name name, epoch uint64, use func(row *R) time.Duration) (*R, error) {
	now := time.Now() // read before the database, so that the row is no older
	remembered := f.remembered(name)
	if remembered != nil && remembered.epoch == epoch && now.Before(remembered.until) {
		return remembered.row, nil
	}
	ctx, cancel := context.WithTimeout(ctx, WaitTimeout)
	defer cancel()
	shared, err := f.lookUps.find(ctx, name, remembered != nil)
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	if shared == nil {
		f.known.Del(slot(name))
		return nil, nil
	}
	row := *shared
	f.known.Set(slot(name), &known[R]{name: name, row: &row, epoch: epoch, until: now.Add(use(&row))}, 1)
	return &row, nil
}

// remembered returns the entry of that name, whether it still counts or not, or nil if
// memory has no entry.
func (f *finder[R]) remembered(name name) *known[R] {
	if known, ok := f.known.Get(slot(name)); ok && known.name == name {
		return known
	}
	return nil
}

// slot returns the key under which the cache keeps the entry of a name. Names can share
// a slot, so an entry carries its name.
func slot(name name) uint64 {
	return binary.BigEndian.Uint64(name[:]) ^ binary.BigEndian.Uint64(name[24:])
}
