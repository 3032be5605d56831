package changes

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"roster/db"
)

// Revision is a point in the history of the directory: the set of transactions
// that a reader there has seen. Commits do not come in the order of their
// numbers, so that one number cannot say it. In text, opaque to clients, it is
//
//	1042                     transaction 1042
//	1040:1045:1040,1043      what a PostgreSQL snapshot sees: every transaction
//	                         below 1045, except 1040 and 1043 which still ran
//	1040:1045:1040,1043+1047 that, and transaction 1047
//
// The zero Revision has seen nothing; its text is empty.
type Revision struct {
	// The snapshot sees what is below end and not among running, which is
	// strictly ascending; begin stands below all of running. All are 0 without a
	// snapshot.
	begin, end uint64
	running    []uint64
	// own is one transaction more; 0 is none.
	own uint64
}

// maxRevisionLength bounds the text, in bytes: more running transactions than a
// PostgreSQL has connections.
const maxRevisionLength = 64 << 10

var errNotARevision = errors.New("not a revision")

// ParseRevision reads the text form. It accepts exactly what String gives, the
// empty text excepted.
func ParseRevision(text string) (Revision, error) {
	if len(text) > maxRevisionLength {
		return Revision{}, errNotARevision
	}
	snapshot, own, both := strings.Cut(text, "+")
	if !both && !strings.Contains(text, ":") {
		snapshot, own = "", text
	}
	var r Revision
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

// parseSnapshot reads xmin:xmax:xip, the text of PostgreSQL's pg_snapshot.
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

// parseXID reads a positive number that has no needless zeros.
func parseXID(text string) (uint64, bool) {
	if text == "" || text[0] < '1' || text[0] > '9' {
		return 0, false
	}
	xid, err := strconv.ParseUint(text, 10, 64)
	return xid, err == nil
}

// String is the text form.
func (r Revision) String() string {
	var b []byte
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

// With gives r and the transaction xid, in place of one that was added before.
// Revision{}.With(xid) is what a mutation led to.
func (r Revision) With(xid db.Revision) Revision {
	r.own = uint64(xid)
	return r
}

// Covers tells whether who has seen r has seen all of other. It is exact.
func (r Revision) Covers(other Revision) bool {
	if other.own != 0 && !r.sees(other.own) {
		return false
	}
	// What r's snapshot misses below its end.
	for _, xid := range r.running {
		if other.snapshotSees(xid) && xid != r.own {
			return false
		}
	}
	// What other's snapshot sees from there on can be only r's own transaction.
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

// sees tells whether the transaction belongs to r.
func (r Revision) sees(xid uint64) bool { return r.snapshotSees(xid) || xid == r.own }

func (r Revision) snapshotSees(xid uint64) bool {
	if xid >= r.end {
		return false
	}
	_, running := slices.BinarySearch(r.running, xid)
	return !running
}
