package access

import (
	"roster/changes"
	"roster/db"
)

// announcements are the latest ends of keys. They matter only to values that were read
// before, so that old ones may be forgotten: then every value that was read before
// them counts as ended.
type announcements[K comparable] struct {
	// recent takes new ends. When it is full, it becomes earlier, whose ends are forgotten.
	recent, earlier map[K]ending
	// latest is the latest epoch of all ends, turned is what it was when recent became
	// earlier, and forgotten is what it was the time before.
	latest, turned, forgotten uint64
}

// ending is when something ended, and the transaction that ended it.
type ending struct {
	epoch uint64
	by    db.Revision
}

// maxAnnouncements is how many announcements are remembered at least. Twice as many
// take some 3 MB.
const maxAnnouncements = 10_000

// add announces the end of the key.
func (a *announcements[K]) add(key K, e ending) {
	if len(a.recent) >= maxAnnouncements {
		a.recent, a.earlier = nil, a.recent
		a.turned, a.forgotten = a.latest, a.turned
	}
	if a.recent == nil {
		a.recent = map[K]ending{}
	}
	e.epoch = max(e.epoch, a.recent[key].epoch)
	a.recent[key], a.latest = e, max(a.latest, e.epoch)
}

// addAll announces the end of all keys.
func (a *announcements[K]) addAll(epoch uint64) {
	a.latest = max(a.latest, epoch)
	a.recent, a.earlier = nil, nil
	a.turned, a.forgotten = a.latest, a.latest
}

// since reports whether the key may have ended after that epoch.
func (a *announcements[K]) since(key K, epoch uint64) bool {
	return epoch < a.forgotten || epoch < a.recent[key].epoch || epoch < a.earlier[key].epoch
}

// saw reports whether a reading at that epoch, which has seen that much of history,
// saw the latest end of the key, unless that was announced only later.
func (a *announcements[K]) saw(key K, epoch uint64, seen changes.Revision) bool {
	last, known := a.recent[key]
	if !known {
		last, known = a.earlier[key]
	}
	return !known || epoch < last.epoch || seen.Covers(changes.Revision{}.With(last.by))
}
