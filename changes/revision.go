package changes

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"roster/db"
)

// Revision is a point in the history of the directory: the set of transactions that a
// reader has seen at that point. One number would not do, because transactions do not
// commit in the order of their numbers. The text form, which is opaque to clients, is
// one of
//
//	1042                     transaction 1042
//	1040:1045:1040,1043      what a PostgreSQL snapshot sees: every transaction
//	                         below 1045, except 1040 and 1043, which still ran
//	1040:1045:1040,1043+1047 the same, and transaction 1047
//
// each of them behind "1b4e28ba." if the timeline is known. The zero Revision has seen
// nothing; its text is empty.
type Revision struct {
	// timeline says which history the numbers belong to: another cluster, a restore to an
	// earlier moment and a fail-over begin another one. Empty is unknown.
	timeline string
	// The snapshot sees every transaction below end that is not in running, which is
	// strictly ascending. No element of running is below begin. Without a snapshot, all
	// three are zero.
	begin, end uint64
	running    []uint64
	// own is one more transaction; 0 if there is none.
	own uint64
}

// maxRevisionLength is the longest text form, in bytes. It has room for more running
// transactions than a PostgreSQL has connections.
const maxRevisionLength = 64 << 10

var errNotARevision = errors.New("not a revision")

// ParseRevision parses the text form. It accepts exactly what String returns, except
// for the empty text.
func ParseRevision(text string) (Revision, error) {
	if len(text) > maxRevisionLength {
		return Revision{}, errNotARevision
	}
	var r Revision
	if timeline, rest, known := strings.Cut(text, "."); known {
		if !isTimeline(timeline) {
			return Revision{}, errNotARevision
		}
		r.timeline, text = timeline, rest
	}
	snapshot, own, both := strings.Cut(text, "+")
	if !both && !strings.Contains(text, ":") {
		snapshot, own = "", text
	}
	ok := true
	if own != "" || both {
		r.own, ok = parseXID(own)
	}
	if snapshot != "" || both {
		ok = ok && r.parseSnapshot(snapshot)
	}
	if !ok || text == "" {
		return Revision{}, errNotARevision
	}
	return r, nil
}

// isTimeline reports whether text has the form of a timeline, which stateSQL makes.
func isTimeline(text string) bool {
	return len(text) == 8 && strings.Trim(text, "0123456789abcdef") == ""
}

// parseSnapshot parses xmin:xmax:xip, the text form of PostgreSQL's pg_snapshot.
func (r *Revision) parseSnapshot(text string) (ok bool) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return false
	}
	if r.begin, ok = parseXID(parts[0]); !ok {
		return false
	}
	if r.end, ok = parseXID(parts[1]); !ok || r.end < r.begin {
		return false
	}
	if parts[2] == "" {
		return true
	}
	last := r.begin - 1
	for part := range strings.SplitSeq(parts[2], ",") {
		xid, ok := parseXID(part)
		if !ok || xid <= last || xid >= r.end {
			return false
		}
		r.running = append(r.running, xid)
		last = xid
	}
	return true
}

// parseXID parses a positive number without leading zeros.
func parseXID(text string) (uint64, bool) {
	if text == "" || text[0] < '1' || text[0] > '9' {
		return 0, false
	}
	xid, err := strconv.ParseUint(text, 10, 64)
	return xid, err == nil
}

// String returns the text form; empty if r has seen nothing.
func (r Revision) String() string {
	var b []byte
	if r.timeline != "" && (r.end != 0 || r.own != 0) {
		b = append(append(b, r.timeline...), '.')
	}
	if r.end != 0 {
		b = strconv.AppendUint(b, r.begin, 10)
		b = append(b, ':')
		b = strconv.AppendUint(b, r.end, 10)
		b = append(b, ':')
		for i, xid := range r.running {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendUint(b, xid, 10)
		}
		if r.own != 0 {
			b = append(b, '+')
		}
	}
	if r.own != 0 {
		b = strconv.AppendUint(b, r.own, 10)
	}
	return string(b)
}

// With returns r with the transaction xid, which replaces one that was added before.
// Revision{}.With(xid) is the revision that a mutation returns.
func (r Revision) With(xid db.Revision) Revision {
	r.own = uint64(xid)
	return r
}

// Snapshot returns the text of the snapshot in r, as PostgreSQL reads it.
func (r Revision) Snapshot() string {
	r.timeline, r.own = "", 0
	return r.String()
}

// differs reports whether r and other are known to belong to different timelines.
func (r Revision) differs(other Revision) bool {
	return r.timeline != "" && other.timeline != "" && r.timeline != other.timeline
}

// Covers reports whether every transaction in other is also in r. It is false for
// revisions of different timelines.
func (r Revision) Covers(other Revision) bool {
	if r.differs(other) {
		return false
	}
	if other.own != 0 && !r.sees(other.own) {
		return false
	}
	// The transactions below its end that r's snapshot misses.
	for _, xid := range r.running {
		if other.snapshotSees(xid) && xid != r.own {
			return false
		}
	}
	// From there on, other's snapshot may see no transaction except r's own.
	from := max(r.end, 1)
	if other.end <= from {
		return true
	}
	first, _ := slices.BinarySearch(other.running, from)
	missed := other.end - from - uint64(len(other.running)-first)
	if r.own >= from && other.snapshotSees(r.own) {
		missed--
	}
	return missed == 0
}

// sees reports whether the transaction is in r.
func (r Revision) sees(xid uint64) bool { return r.snapshotSees(xid) || xid == r.own }

func (r Revision) snapshotSees(xid uint64) bool {
	if xid >= r.end {
		return false
	}
	_, running := slices.BinarySearch(r.running, xid)
	return !running
}
