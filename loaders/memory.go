package loaders

import (
	"context"
	"slices"

	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// memory holds rows that a request has read along with others, before anything
// asked for them.
type memory struct {
	users         shelf[db.UserID, db.User]
	organizations shelf[db.OrganizationID, db.Organization]
}

type memoryKey struct{}

// WithMemory gives a context of one query, in which rows that were read along
// with others are found by the loaders. A mutation must not have it: its rows
// change while it runs.
func WithMemory(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoryKey{}, &memory{})
}

func memoryOf(ctx context.Context) *memory {
	if m, ok := ctx.Value(memoryKey{}).(*memory); ok {
		return m
	}
	return &memory{}
}

// HasMemory tells whether what is read along with others would be found.
func HasMemory(ctx context.Context) bool {
	_, ok := ctx.Value(memoryKey{}).(*memory)
	return ok
}

// Remember keeps what was read along with memberships.
func Remember(ctx context.Context, related *directory.Related) {
	m := memoryOf(ctx)
	m.users.put(related.UserFields, related.Users, userID)
	m.organizations.put(related.OrganizationFields, related.Organizations, organizationID)
}

// shelf has rows of one table, grouped by the fields that were read.
type shelf[K comparable, V any] []shelved[K, V]

type shelved[K comparable, V any] struct {
	fields list.Fields
	rows   map[K]*V
}

func (s *shelf[K, V]) put(fields list.Fields, rows []*V, keyOf func(*V) K) {
	if len(rows) == 0 {
		return
	}
	of := make(map[K]*V, len(rows))
	for _, row := range rows {
		of[keyOf(row)] = row
	}
	*s = append(*s, shelved[K, V]{fields, of})
}

// knowing gives the rows of which all these fields were read. nil asks for every
// field, and gives none: what is read along with others is only what was selected.
func (s shelf[K, V]) knowing(fields list.Fields) map[K]*V {
	for i := range s {
		if fields != nil && !slices.ContainsFunc(fields, func(f string) bool { return !slices.Contains(s[i].fields, f) }) {
			return s[i].rows
		}
	}
	return nil
}
