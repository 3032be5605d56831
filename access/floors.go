package access

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// stripes is the number of floors of one kind. It is a power of two, and large
// enough that something which seldom changes rarely shares a floor with something
// that often does.
const stripes = 1 << 14

// floors are the least epochs at which an entry of the cache still counts: a change
// raises the floors of what it concerns. There is one floor for each stripe of
// members, of users, of organizations, and of users and organizations by their
// names, and one for everything. Stripes bound the memory, and cost hits: whatever
// shares a stripe with a change leaves the cache, too.
type floors struct {
	members, users, organizations, names [stripes]atomic.Uint64
	all                                  atomic.Uint64
}

// allows reports whether an entry of the member that was read at epoch still counts:
// nothing that concerns the member has changed since.
func (f *floors) allows(member *MemberKey, epoch uint64) bool {
	return epoch >= f.members[memberHash(member)%stripes].Load() &&
		epoch >= f.users[idHash(member.User)%stripes].Load() &&
		epoch >= f.organizations[idHash(member.Organization)%stripes].Load() &&
		epoch >= f.all.Load()
}

// idHash returns a hash of an id: its last 8 bytes, which are random in a UUIDv7
// except for the variant, the highest two bits of the first of them, which the
// rotation moves away from the low end. The hash of the root differs from the hash
// of the zero id. Otherwise both would share a slot of the cache, and each check of
// an unknown name would push out what the caller holds in the business.
func idHash(id [16]byte) uint64 {
	return bits.RotateLeft64(binary.LittleEndian.Uint64(id[8:]), -8)
}

// memberHash mixes the hashes of user and organization. The factor is odd and has
// many bits (the golden ratio in 64 bits), so that swapping user and organization,
// or shifting both, changes the result.
func memberHash(m *MemberKey) uint64 {
	h := (idHash(m.User) ^ idHash(m.Organization)*0x9e3779b97f4a7c15) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// raise sets a floor to epoch unless it is higher already.
func raise(floor *atomic.Uint64, epoch uint64) {
	for {
		now := floor.Load()
		if now >= epoch || floor.CompareAndSwap(now, epoch) {
			return
		}
	}
}
