// Package changes is the log of changes: what every transaction changed, when,
// and on whose behalf. It is the audit trail, and what every server follows:
//
//	a server writes                            every server follows
//
//	begin                                      Follower
//	  rows … ── Record.Append ──▶ changes ──▶    each Poll: what became visible
//	commit                        (table)        since the last snapshot ──▶ apply
//	  Ring ────────────────────▶ NOTIFY ───▶     the bell: look now, not at the next Poll
//
// The table is the truth. The bell only hastens: nothing is lost with it.
package changes

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"roster/db"
)

// Record collects what one change did, until Append writes it down.
type Record struct {
	actor string
	at    time.Time
	rows  []*db.Change
}

// NewRecord begins the record of what actor (in text form) does at that moment.
func NewRecord(actor string, at time.Time) *Record {
	return &Record{actor: actor, at: at}
}

// Date moves the record to a later moment, before anything is in it.
func (r *Record) Date(at time.Time) { r.at = at }

// Values are named values before or after a change, as GraphQL names them.
type Values map[string]any

// Add notes that the action was done to subject, an id in text form, in org
// where it belongs to one. Values that are equal before and after are left out.
func (r *Record) Add(action, subject string, org *db.OrganizationID, before, after any) error {
	b, err := values(before)
	if err != nil {
		return err
	}
	a, err := values(after)
	if err != nil {
		return err
	}
	if b != nil && a != nil {
		dropEqual(b, a)
	}
	row := &db.Change{
		ID: db.NewID[db.ChangeKind](), At: r.at, Actor: r.actor, Action: action, Subject: subject, OrgID: org,
	}
	if row.Before, err = encode(b); err != nil {
		return err
	}
	if row.After, err = encode(a); err != nil {
		return err
	}
	r.rows = append(r.rows, row)
	return nil
}

// Append writes the record into the log, within the transaction that changes
// what it tells of.
func (r *Record) Append(ctx context.Context, tx bun.Tx) error {
	if len(r.rows) == 0 {
		return nil
	}
	id := RequestID(ctx)
	for _, row := range r.rows {
		if id != "" {
			row.RequestID = &id
		}
	}
	const batch = 1000 // keeps each statement below some 500 kB
	for rows := r.rows; len(rows) > 0; rows = rows[min(batch, len(rows)):] {
		part := rows[:min(batch, len(rows))]
		if _, err := tx.NewInsert().Model(&part).ExcludeColumn("xid").Returning("xid").Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Changes gives what was recorded.
func (r *Record) Changes() []db.Change {
	all := make([]db.Change, len(r.rows))
	for i, row := range r.rows {
		all[i] = *row
	}
	return all
}

// values gives the JSON of each field of a row or map.
func values(of any) (map[string]json.RawMessage, error) {
	if of == nil {
		return nil, nil
	}
	text, err := json.Marshal(of)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	err = json.Unmarshal(text, &all)
	return all, err
}

// bookkeeping are fields that change with every write and say nothing.
var bookkeeping = []string{"version", "updatedAt"}

// identifying is the value that says whose membership was changed; who follows
// the log needs it always.
const identifying = "userId"

func dropEqual(before, after map[string]json.RawMessage) {
	for _, name := range bookkeeping {
		delete(before, name)
		delete(after, name)
	}
	maps.DeleteFunc(before, func(name string, value json.RawMessage) bool {
		if name == identifying || !bytes.Equal(value, after[name]) {
			return false
		}
		delete(after, name)
		return true
	})
}

func encode(values map[string]json.RawMessage) (json.RawMessage, error) {
	if values == nil {
		return nil, nil
	}
	return json.Marshal(values)
}

type committedKey struct{}

// WithCommitted gives a context whose transactions note, in revision, what they
// have committed.
func WithCommitted(ctx context.Context, revision *db.Revision) context.Context {
	return context.WithValue(ctx, committedKey{}, revision)
}

// Committed notes that a transaction of ctx with these changes was committed.
func Committed(ctx context.Context, rows []db.Change) {
	if revision, ok := ctx.Value(committedKey{}).(*db.Revision); ok && len(rows) > 0 {
		*revision = rows[0].XID
	}
}

type requestIDKey struct{}

// WithRequestID gives a context whose changes are recorded under that request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the id of the request that ctx belongs to; empty outside one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// Erase removes the values from all earlier changes of subject, which may hold
// personal data; that they happened stays on record.
func (r *Record) Erase(ctx context.Context, tx bun.Tx, subject string) error {
	r.rows = slices.DeleteFunc(r.rows, func(row *db.Change) bool { return row.Subject == subject })
	_, err := tx.NewUpdate().Model((*db.Change)(nil)).Set("before = null, after = null").Where("subject = ?", subject).Exec(ctx)
	return err
}
