package changes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun/dialect/pgdialect"

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
	row := &db.Change{
		ID: db.NewID[db.ChangeKind](), At: w.At, Actor: w.actor, Action: action.name, Subject: subject, OrgID: org,
	}
	var err error
	if row.Before, row.After, err = difference(before, after); err != nil {
		return err
	}
	w.rows = append(w.rows, row)
	return nil
}

// appendText inserts changes by the columns $3 to $9, which the import $10 has caused, and returns the number of the
// transaction.
const appendText = `
with written as (insert into changes (actor, request_id, import_id, id, at, action, subject, org_id, before, after)
	select $1, $2, $10, id, at, action, subject, org_id, before::jsonb, after::jsonb
		from unnest($3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::text[])
			as c (id, at, action, subject, org_id, before, after))
select pg_current_xact_id()`

// batch is the largest number of changes that one statement writes, which keeps the
// statement below some 500 kB.
const batch = 1000

// append sends what is to be done later, and writes what was recorded into the log,
// within the transaction of the changes. All of it takes one round trip.
func (w *Write) append(ctx context.Context) error {
	var request *string
	if id := RequestID(ctx); id != "" {
		request = &id
	}
	var cause *db.ImportID
	if id := importOf(ctx); !id.IsZero() {
		cause = &id
	}
	var numbers []*db.Rows[db.Revision]
	for part := range slices.Chunk(w.rows, batch) {
		numbers = append(numbers, w.queue(part, request, cause))
	}
	if err := w.db.Run(ctx, &w.later); err != nil {
		return err
	}
	for i, row := range w.rows {
		row.XID = *numbers[i/batch].One()
		w.appended = append(w.appended, *row)
	}
	w.rows = nil
	return nil
}

// queue adds the statement that writes these changes.
func (w *Write) queue(rows []*db.Change, request *string, cause *db.ImportID) *db.Rows[db.Revision] {
	n := len(rows)
	ids, times, actions, subjects := make([]db.ChangeID, n), make([]time.Time, n), make([]string, n), make([]string, n)
	orgs, before, after := make([]*db.OrganizationID, n), make([]*string, n), make([]*string, n)
	for i, row := range rows {
		ids[i], times[i], actions[i], subjects[i], orgs[i] = row.ID, row.At, row.Action, row.Subject, row.OrgID
		before[i], after[i] = nullable(row.Before), nullable(row.After)
		row.RequestID, row.ImportID = request, cause
	}
	return db.Queue[db.Revision](&w.later, appendText, w.actor, request, ids, times, actions, subjects, orgs, before, after, cause)
}

func nullable(text json.RawMessage) *string {
	if text == nil {
		return nil
	}
	return new(string(text))
}

// Summarize writes what was recorded so far into the log. In memory, one change for
// each action and organization then stands for all changes of memberships: its
// subject is the organization, and what follows from the action concerns everybody
// there. Call it now and then in a write whose size the data decides, whose memory
// it bounds.
func (w *Write) Summarize(ctx context.Context) error {
	if err := w.append(ctx); err != nil {
		return err
	}
	type crowd struct {
		action string
		org    db.OrganizationID
	}
	known := map[crowd]bool{}
	kept := w.appended[:0]
	for _, row := range w.appended {
		if row.OrgID != nil && ActionByName(row.Action).subject == (db.MembershipKind{}).Prefix() {
			its := crowd{row.Action, *row.OrgID}
			if known[its] {
				continue
			}
			known[its] = true
			row.Subject, row.Before, row.After = row.OrgID.String(), nil, nil
		}
		kept = append(kept, row)
	}
	clear(w.appended[len(kept):])
	w.appended = kept
	return nil
}

// Changes returns what was recorded so far; see Summarize.
func (w *Write) Changes() []db.Change {
	all := slices.Grow(slices.Clone(w.appended), len(w.rows))
	for _, row := range w.rows {
		all = append(all, *row)
	}
	return all
}

// Erase removes the values of all earlier changes of the subjects, which may be personal
// data. The changes themselves stay in the log.
func (w *Write) Erase(ctx context.Context, subjects ...string) error {
	gone := make(map[string]bool, len(subjects))
	for _, subject := range subjects {
		gone[subject] = true
	}
	w.rows = slices.DeleteFunc(w.rows, func(row *db.Change) bool { return gone[row.Subject] })
	_, err := w.NewUpdate().Model((*db.Change)(nil)).Set("before = null, after = null").Where("subject = any(?)", pgdialect.Array(subjects)).Exec(ctx)
	return err
}

// difference returns the JSON of a row or map before and after a change, without
// values that are equal; nil stays nil.
func difference(before, after any) (b, a json.RawMessage, err error) {
	if before == nil || after == nil {
		if b, err = encode(before); err != nil {
			return nil, nil, err
		}
		a, err = encode(after)
		return b, a, err
	}
	was, err := values(before)
	if err != nil {
		return nil, nil, err
	}
	is, err := values(after)
	if err != nil {
		return nil, nil, err
	}
	dropEqual(was, is)
	if b, err = encode(was); err != nil {
		return nil, nil, err
	}
	a, err = encode(is)
	return b, a, err
}

// values returns the JSON of each field of a row or map.
func values(row any) (map[string]json.RawMessage, error) {
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

func encode(values any) (json.RawMessage, error) {
	if values == nil {
		return nil, nil
	}
	return json.Marshal(values)
}

type importKey struct{}

// WithImport returns a context whose changes are recorded as caused by an import.
func WithImport(ctx context.Context, id db.ImportID) context.Context {
	return context.WithValue(ctx, importKey{}, id)
}

// importOf returns the import that ctx works for, or zero.
func importOf(ctx context.Context) db.ImportID {
	id, _ := ctx.Value(importKey{}).(db.ImportID)
	return id
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
