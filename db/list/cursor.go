package list

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"

	"roster/db"

	"github.com/google/uuid"
)

// Cursor is a position in a list: the value that the list is sorted by, and the id
// that orders equals.
type Cursor struct {
	Value string
	ID    uuid.UUID
}

func (c Cursor) compare(other Cursor) int {
	if order := strings.Compare(c.Value, other.Value); order != 0 {
		return order
	}
	return slices.Compare(c.ID[:], other.ID[:])
}

// cursorVersion is the first byte of every cursor. A change of the format changes
// it, and older cursors are then refused.
const cursorVersion = 1

// encode returns the text of the cursor: version, check sum, id, value. The sum
// covers the list's name, so that a cursor of another list is noticed, and one that
// was tampered with. It is no secret: a forged cursor leads only to positions in a
// list that its client may read anyway.
func (c Cursor) encode(list string) string {
	b := make([]byte, 0, 1+4+16+len(c.Value))
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint32(b, c.sum(list))
	b = append(b, c.ID[:]...)
	b = append(b, c.Value...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (c Cursor) sum(list string) uint32 {
	return crc32.ChecksumIEEE(slices.Concat([]byte(list), []byte{0}, c.ID[:], []byte(c.Value)))
}

// maxCursor is more bytes than a cursor has: it holds at most what lists are sorted
// by.
const maxCursor = 4 << 10

// decodeCursor returns the cursor of the list that the text encodes; ok is false if
// the text is something else.
func decodeCursor(list, text string) (c *Cursor, ok bool) {
	if len(text) > maxCursor {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 1+4+16 || b[0] != cursorVersion {
		return nil, false
	}
	c = &Cursor{ID: uuid.UUID(b[5:21]), Value: string(b[21:])}
	return c, binary.BigEndian.Uint32(b[1:5]) == c.sum(list)
}

// Type is the type of what a list is sorted by, as the database calls it.
type Type string

// The types of values in cursors.
const (
	Text Type = "text"
	Time Type = "timestamptz" // the text is the one of TimeValue
	UUID Type = "uuid"
	Int  Type = "bigint" // the text has its decimal digits
	// UUIDTimeText is a uuid, a time and a text, separated by spaces; no expression in
	// SQL has it.
	UUIDTimeText Type = "uuid timestamptz text"
)

// holds reports whether the value is one of the type, written as cursors have it.
// The check sum can be forged, and the database must not stumble over what was.
func (t Type) holds(value string) bool {
	switch t {
	case Time:
		at, err := time.Parse(time.RFC3339Nano, value)
		return err == nil && at.Year() > 0 && TimeValue(&at) == value || value == TimeValue(nil)
	case Int:
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && strconv.FormatInt(n, 10) == value
	case UUID:
		id, err := uuid.Parse(value)
		return err == nil && id.String() == value
	case UUIDTimeText:
		id, rest, _ := strings.Cut(value, " ")
		at, _, ok := strings.Cut(rest, " ")
		return ok && UUID.holds(id) && Time.holds(at) && Text.holds(value)
	}
	return db.Storable(value)
}

// TimeValue returns the text of an instant in a cursor. No instant, nil, comes
// before all others.
func TimeValue(at *time.Time) string {
	if at == nil {
		return "-infinity"
	}
	return at.UTC().Format(time.RFC3339Nano)
}
