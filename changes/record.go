package changes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"roster/db"
)

// Values are named values before or after a change, as GraphQL names them.
type Values map[string]any

// Record notes that the action was done to subject, an id in text form, in org
// where it belongs to one. Values that are equal before and after are left out.
// It fails for an action that is not in the table, or is none on such a subject.
func (w *Write) Record(action Action, subject string, org *db.OrganizationID, before, after any) error {
	if !action.takes(subject) {
		return fmt.Errorf("the action %q cannot be done to %s", action, subject)
	}
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
		ID: db.NewID[db.ChangeKind](), At: w.At, Actor: w.actor, Action: action.name, Subject: subject, OrgID: org,
	}
	if row.Before, err = encode(b); err != nil {
		return err
	}
	if row.After, err = encode(a); err != nil {
		return err
	}
	w.rows = append(w.rows, row)
	return nil
}

// append writes the record into the log, within the transaction that changes what
// it tells of.
func (w *Write) append(ctx context.Context) error {
	if id := RequestID(ctx); id != "" {
		for _, row := range w.rows {
			row.RequestID = &id
		}
	}
	const batch = 1000 // keeps each statement below some 500 kB
	for part := range slices.Chunk(w.rows, batch) {
		if _, err := w.NewInsert().Model(&part).ExcludeColumn("xid").Returning("xid").Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Changes returns what was recorded so far.
func (w *Write) Changes() []db.Change {
	all := make([]db.Change, len(w.rows))
	for i, row := range w.rows {
		all[i] = *row
	}
	return all
}

// Erase removes the values from all earlier changes of subject, which may hold
// personal data; that they happened stays on record.
func (w *Write) Erase(ctx context.Context, subject string) error {
	w.rows = slices.DeleteFunc(w.rows, func(row *db.Change) bool { return row.Subject == subject })
	_, err := w.NewUpdate().Model((*db.Change)(nil)).Set("before = null, after = null").Where("subject = ?", subject).Exec(ctx)
	return err
}

// values returns the JSON of each field of a row or map.
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

// identifying is the value that says whose membership was changed. A follower of
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

type requestIDKey struct{}

// WithRequestID returns a context whose changes are recorded under that request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id of the request that ctx belongs to; empty outside one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
