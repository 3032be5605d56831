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

// Values are the values of fields before or after a change, by their GraphQL names.
type Values map[string]any

// Record records that the action was done to subject, an id in text form; org is the
// organization that the subject belongs to, if any. Values that are the same before and
// after are left out. It returns an error if the action is unknown, or cannot be done
// to a subject of that kind.
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

// append appends the record to the log, in the transaction of the change itself.
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

// Changes returns the changes that were recorded so far.
func (w *Write) Changes() []db.Change {
	all := make([]db.Change, len(w.rows))
	for i, row := range w.rows {
		all[i] = *row
	}
	return all
}

// Erase removes the values of all earlier changes of subject, which may be personal
// data. The changes themselves stay in the log.
func (w *Write) Erase(ctx context.Context, subject string) error {
	w.rows = slices.DeleteFunc(w.rows, func(row *db.Change) bool { return row.Subject == subject })
	_, err := w.NewUpdate().Model((*db.Change)(nil)).Set("before = null, after = null").Where("subject = ?", subject).Exec(ctx)
	return err
}

// values returns the JSON of each field of a row or map.
func values(row any) (map[string]json.RawMessage, error) {
	if row == nil {
		return nil, nil
	}
	text, err := json.Marshal(row)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	err = json.Unmarshal(text, &all)
	return all, err
}

// bookkeeping are fields that change with every write and carry no information.
var bookkeeping = []string{"version", "updatedAt"}

// identifying is the value that identifies the user of a membership. It is always
// recorded, because followers need it.
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

// WithRequestID returns a context whose changes are recorded with the id of a request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id of the request that ctx belongs to; empty outside one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
