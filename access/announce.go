package access

// announcements are the ends of keys, each with its epoch. They matter only to values
// that were read before and are not kept yet, so they may be forgotten: then every
// value that was read before counts as ended.
type announcements[K comparable] struct {
	ends map[K]uint64
	// latest is the latest epoch of all ends, and forgotten that of the forgotten ones.
	latest, forgotten uint64
}

// maxAnnouncements bounds the memory that announcements take, to some 1 MB.
const maxAnnouncements = 10_000

// add announces the end of the key.
func (a *announcements[K]) add(key K, epoch uint64) {
	if len(a.ends) >= maxAnnouncements {
		a.ends, a.forgotten = nil, a.latest
	}
	if a.ends == nil {
		a.ends = map[K]uint64{}
	}
	a.ends[key], a.latest = max(a.ends[key], epoch), max(a.latest, epoch)
}

// addAll announces the end of all keys.
func (a *announcements[K]) addAll(epoch uint64) {
	a.latest = max(a.latest, epoch)
	a.ends, a.forgotten = nil, a.latest
}

// since reports whether the key may have ended after that epoch.
func (a *announcements[K]) since(key K, epoch uint64) bool {
	return epoch < a.forgotten || epoch < a.ends[key]
}
