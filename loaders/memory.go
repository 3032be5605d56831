package loaders

import (
	"context"
	"slices"

	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// memory holds rows that a request has read with others, before anything asked for
// them.
type memory struct {
	users         table[db.UserID, db.User]
	organizations table[db.OrganizationID, db.Organization]
}

type memoryKey struct{}

// WithMemory returns a context for one query, in which the loaders find rows that
// were read with others. A mutation must not have it: its rows change while it runs.
func WithMemory(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoryKey{}, &memory{})
}

func memoryOf(ctx context.Context) *memory {
	if m, ok := ctx.Value(memoryKey{}).(*memory); ok {
		return m
	}
	return &memory{}
}

// HasMemory reports whether the loaders would find rows that are read with others.
func HasMemory(ctx context.Context) bool {
	_, ok := ctx.Value(memoryKey{}).(*memory)
	return ok
}

// Remember keeps the rows that were read with memberships.
func Remember(ctx context.Context, related *directory.Related) {
	m := memoryOf(ctx)
	m.users.put(related.UserFields, related.Users, userID)
	m.organizations.put(related.OrganizationFields, related.Organizations, organizationID)
}

// table has rows of one table, grouped by the fields that were read.
type table[K comparable, V any] []fieldRows[K, V]

type fieldRows[K comparable, V any] struct {
	fields list.Fields
	rows   map[K]*V
}

func (t *table[K, V]) put(fields list.Fields, rows []*V, keyOf func(*V) K) {
	if len(rows) == 0 {
		return
	}
	byKey := make(map[K]*V, len(rows))
	for _, row := range rows {
		byKey[keyOf(row)] = row
	}
	*t = append(*t, fieldRows[K, V]{fields, byKey})
}

// withFields returns the rows of which all these fields were read. nil fields mean
// every field: then it returns no rows, since rows that are read with others have
// only the fields that were selected.
func (t table[K, V]) withFields(fields list.Fields) map[K]*V {
	for i := range t {
		if fields != nil && !slices.ContainsFunc(fields, func(f string) bool { return !slices.Contains(t[i].fields, f) }) {
			return t[i].rows
		}
	}
	return nil
}
