package access

import "math/bits"

// set is a set of permissions. Its bits are their ordinals in one catalogue.
type set []uint64

func newSet(size int) set { return make(set, (size+63)/64) }

func (s set) add(ordinal int) { s[ordinal/64] |= 1 << (ordinal % 64) }

func (s set) has(ordinal int) bool { return s[ordinal/64]&(1<<(ordinal%64)) != 0 }

// union adds all members of other, a set of the same catalogue.
func (s set) union(other set) {
	for i, word := range other {
		s[i] |= word
	}
}

// size returns the number of members.
func (s set) size() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// ordinals yields the members in order.
func (s set) ordinals(yield func(int) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(i*64 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}
