package impact

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/db/list"
)

// cursor returns a cursor whose value has the organization, the beginning and the
// key. A change that begins with the write has no time in it, so that the cursors of
// a dry run stay good.
func (p *PermissionChange) cursor() list.Cursor {
	var later *time.Time
	if !p.later.IsZero() {
		later = &p.later
	}
	return list.Cursor{Value: uuid.UUID(p.Member.Organization).String() + " " + list.TimeValue(later) + " " + p.Key, ID: uuid.UUID(p.Member.User)}
}

// position is a position in a list: behind the change of the member that begins
// then, by that key. A zero time is the moment of the write.
type position struct {
	access.MemberKey
	key   string
	later time.Time
}

// behindAllKeys follows every key: keys consist of ASCII.
const behindAllKeys = "\u00ff"

// positionOf returns the position of a cursor; nil is the beginning of the list.
func positionOf(c *list.Cursor) position {
	if c == nil {
		return position{}
	}
	organization, rest, _ := strings.Cut(c.Value, " ")
	at, key, _ := strings.Cut(rest, " ")
	later, _ := time.Parse(time.RFC3339Nano, at) // zero if it begins with the write
	member := access.MemberKey{User: db.UserID(c.ID), Organization: db.OrganizationID(uuid.MustParse(organization))}
	return position{MemberKey: member, key: key, later: later}
}

// precedes reports whether the entry of the member, who does not precede the
// position, follows it.
func (p position) precedes(member access.MemberKey, e entry) bool {
	switch {
	case member != p.MemberKey:
		return true
	case e.key != p.key:
		return e.key > p.key
	}
	return e.from.After(p.later)
}
