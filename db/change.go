package db

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/uptrace/bun"
)

// Change is a row of changes: an action that a transaction did to a subject.
type Change struct {
	bun.BaseModel `bun:"table:changes,alias:c"`

	ID ChangeID `bun:",pk"`
	// XID is the number of the transaction. The database sets it.
	XID Revision `bun:"xid,nullzero"`
	At  time.Time
	// Actor is the text form of the access.Actor.
	Actor  string
	Action string
	// Subject is the id of the changed object, in text form.
	Subject   string
	OrgID     *OrganizationID
	Before    json.RawMessage `bun:"type:jsonb,nullzero"`
	After     json.RawMessage `bun:"type:jsonb,nullzero"`
	RequestID *string
	// ImportID is the import that has caused it, or nil.
	ImportID *ImportID
}

// Member returns the user whose membership was changed. It reports false if something
// else was changed.
func (c *Change) Member() (user UserID, ok bool) {
	var values struct {
		UserID string `json:"userId"`
	}
	for _, text := range []json.RawMessage{c.Before, c.After} {
		_ = json.Unmarshal(text, &values) // one of the two may be absent
	}
	user, err := ParseID[UserKind](values.UserID)
	return user, err == nil
}

// Revision is a point in the history of the directory: the number of the
// transaction that led there. Clients treat it as opaque.
type Revision uint64

// AppendJSON appends the revision as a JSON string to b.
func (r Revision) AppendJSON(b []byte) []byte {
	b = append(b, '"')
	b = strconv.AppendUint(b, uint64(r), 10)
	return append(b, '"')
}

// Scan reads an xid8.
func (r *Revision) Scan(src any) (err error) {
	var n uint64
	switch src := src.(type) {
	case string:
		n, err = strconv.ParseUint(src, 10, 64)
	case []byte:
		n, err = strconv.ParseUint(string(src), 10, 64)
	case int64:
		n = uint64(src)
	}
	*r = Revision(n)
	return err
}

// MarshalGQL writes the revision as a JSON string, for gqlgen.
func (r Revision) MarshalGQL(w io.Writer) { _, _ = w.Write(r.AppendJSON(nil)) }

// UnmarshalGQL parses the text that AppendJSON writes, for gqlgen.
func (r *Revision) UnmarshalGQL(v any) error {
	text, _ := v.(string)
	n, err := strconv.ParseUint(text, 10, 64)
	*r = Revision(n)
	return err
}
