package access

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// stripes is the number of floors of one kind: a power of two, large enough
// that those which change seldom share one with others that do not.
const stripes = 1 << 14

// floors say from which epoch on what was read is good. They are kept for
// stripes of places, users, organizations, and of both with their names, so that
// their memory is bounded: raising one takes some neighbours out of the cache
// too.
type floors struct {
	places, users, organizations, names [stripes]atomic.Uint64
	all                                 atomic.Uint64
}

// good tells whether what was read at epoch for the place is not older than
// anything that has been invalidated since.
func (f *floors) good(place *MemberKey, epoch uint64) bool {
	return epoch >= f.places[placeHash(place)%stripes].Load() &&
		epoch >= f.users[idHash(place.User)%stripes].Load() &&
		epoch >= f.organizations[idHash(place.Organization)%stripes].Load() &&
		epoch >= f.all.Load()
}

// idHash is taken from the last 8 bytes, which are random in a UUIDv7 but for the
// variant, two bits of the first one, which comes last here. It tells the root from
// no organization: if they had one place in the cache, each check of a name that
// nobody has would push out what the caller holds in the business.
func idHash(id [16]byte) uint64 {
	return bits.RotateLeft64(binary.LittleEndian.Uint64(id[8:]), -8)
}

// placeHash mixes the hashes of user and organization; the factor is odd and has
// many bits (the golden ratio of 64 bits), so that swapping users and
// organizations, or shifting both, changes it.
func placeHash(p *MemberKey) uint64 {
	h := (idHash(p.User) ^ idHash(p.Organization)*0x9e3779b97f4a7c15) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// raise makes a floor at least epoch.
func raise(floor *atomic.Uint64, epoch uint64) {
	for {
		now := floor.Load()
		if now >= epoch || floor.CompareAndSwap(now, epoch) {
			return
		}
	}
}
