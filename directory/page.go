package directory

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"roster/problem"
)

// The sizes of pages: what one gets without asking, and the most that one may
// ask for.
const (
	DefaultPage = 20
	MaxPage     = 100
)

// Page asks for one part of a list, as Relay's cursor connections do: the first
// ones after a cursor, or the last ones before one.
type Page struct {
	First, Last   *int
	After, Before *string
	// With is for lists of memberships: what else to read. It may be nil.
	With *Related
}

// span is a Page that was checked against the list it is for.
type span struct {
	limit         int
	backward      bool
	after, before *cursor
}

// check gives the span of the list, whose cursors hold values of the type that
// cast names.
func (p Page) check(list, cast string) (span, error) {
	var faults problem.List
	s := span{limit: DefaultPage, backward: p.Last != nil}
	if p.First != nil && p.Last != nil {
		faults.Add(problem.Invalid, "last", "Ask for first or for last, not for both.")
	}
	for name, size := range map[string]*int{"first": p.First, "last": p.Last} {
		if size == nil {
			continue
		}
		if *size < 1 || *size > MaxPage {
			faults.Add(problem.Invalid, name, "%s must be from 1 to %d.", name, MaxPage)
		}
		s.limit = *size
	}
	s.after = readCursor(&faults, "after", list, cast, p.After)
	s.before = readCursor(&faults, "before", list, cast, p.Before)
	return s, faults.Err()
}

func readCursor(faults *problem.List, field, list, cast string, text *string) *cursor {
	if text == nil {
		return nil
	}
	c, ok := decodeCursor(list, *text)
	if !ok || !c.isOf(cast) {
		faults.Add(problem.Invalid, field, "%s is not a cursor of this list.", field)
	}
	return c
}

// PageInfo is Relay's page information.
type PageInfo struct {
	HasNextPage, HasPreviousPage bool
	StartCursor, EndCursor       *string
}

// Edge is one element of a connection and the cursor that stands at it.
type Edge[T any] struct {
	Node   *T
	cursor func(*T) string
}

// Cursor is the place of the edge in its list.
func (e *Edge[T]) Cursor() string { return e.cursor(e.Node) }

// Connection is one page of a list of T.
type Connection[T any] struct {
	Nodes []*T

	cursor                   func(*T) string
	hasNextPage, hasPrevious bool
	count                    func(ctx context.Context) (int, error)
}

// Edges are the elements with their cursors.
func (c *Connection[T]) Edges() []*Edge[T] {
	edges := make([]*Edge[T], len(c.Nodes))
	for i, node := range c.Nodes {
		edges[i] = &Edge[T]{node, c.cursor}
	}
	return edges
}

// PageInfo tells where the page stands in its list.
func (c *Connection[T]) PageInfo() *PageInfo {
	info := &PageInfo{HasNextPage: c.hasNextPage, HasPreviousPage: c.hasPrevious}
	if n := len(c.Nodes); n > 0 {
		first, last := c.cursor(c.Nodes[0]), c.cursor(c.Nodes[n-1])
		info.StartCursor, info.EndCursor = &first, &last
	}
	return info
}

// TotalCount counts the whole list, whatever the page. Nothing is counted
// before it is called.
func (c *Connection[T]) TotalCount(ctx context.Context) (int, error) { return c.count(ctx) }

// newConnection makes a page of what was read for a span: up to limit+1 nodes,
// in the order of reading, which is backward for last.
func newConnection[T any](s span, nodes []*T, cursor func(*T) string, count func(context.Context) (int, error)) *Connection[T] {
	more := len(nodes) > s.limit
	if more {
		nodes = nodes[:s.limit]
	}
	c := &Connection[T]{Nodes: nodes, cursor: cursor, count: count}
	if s.backward {
		slices.Reverse(nodes)
		c.hasPrevious, c.hasNextPage = more, s.before != nil
	} else {
		c.hasNextPage, c.hasPrevious = more, s.after != nil
	}
	return c
}

// slicePage cuts a page out of a list that is in memory, in its order.
func slicePage[T any](list string, page Page, all []*T, key func(*T) cursor) (*Connection[T], error) {
	s, err := page.check(list, "text")
	if err != nil {
		return nil, err
	}
	nodes := all
	if s.after != nil {
		nodes = nodes[search(nodes, key, s.after, 1):]
	}
	if s.before != nil {
		nodes = nodes[:search(nodes, key, s.before, 0)]
	}
	nodes = slices.Clone(nodes)
	if s.backward {
		slices.Reverse(nodes)
	}
	nodes = nodes[:min(len(nodes), s.limit+1)]
	total := len(all)
	return newConnection(s, nodes, func(node *T) string { return key(node).encode(list) },
		func(context.Context) (int, error) { return total, nil }), nil
}

// search gives the place of the first node at or (with 1) behind the cursor.
func search[T any](nodes []*T, key func(*T) cursor, at *cursor, behind int) int {
	place, _ := slices.BinarySearchFunc(nodes, *at, func(node *T, at cursor) int {
		if order := key(node).compare(at); order != 0 {
			return order
		}
		return -behind
	})
	return place
}

// cursor is a place in a list: the value that it is ordered by, and the id that
// tells equals apart.
type cursor struct {
	value string
	id    uuid.UUID
}

func (c cursor) compare(other cursor) int {
	if order := strings.Compare(c.value, other.value); order != 0 {
		return order
	}
	return slices.Compare(c.id[:], other.id[:])
}

// cursorVersion is the first byte of every cursor; a change of the format
// changes it, and older cursors are then refused.
const cursorVersion = 1

// encode gives the cursor's text: version, check sum, id, value. The sum covers
// the list's name, so that a cursor of another list is noticed, as is one that
// was tampered with. It is no secret: whoever forges one finds only places in a
// list which they may read anyway.
func (c cursor) encode(list string) string {
	b := make([]byte, 0, 1+4+16+len(c.value))
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint32(b, c.sum(list))
	b = append(b, c.id[:]...)
	b = append(b, c.value...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (c cursor) sum(list string) uint32 {
	return crc32.ChecksumIEEE(slices.Concat([]byte(list), []byte{0}, c.id[:], []byte(c.value)))
}

func decodeCursor(list, text string) (*cursor, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 1+4+16 || b[0] != cursorVersion {
		return nil, false
	}
	c := &cursor{id: uuid.UUID(b[5:21]), value: string(b[21:])}
	return c, binary.BigEndian.Uint32(b[1:5]) == c.sum(list)
}

// isOf tells whether the value is one of that type of the database, written as
// cursors have it. The check sum can be forged, and the database must not stumble
// over what was.
func (c *cursor) isOf(cast string) bool {
	switch cast {
	case "timestamptz":
		t, err := time.Parse(time.RFC3339Nano, c.value)
		return err == nil && t.Year() > 0 && timeValue(t) == c.value || c.value == beforeAllTime
	case "uuid":
		id, err := uuid.Parse(c.value)
		return err == nil && id.String() == c.value
	case "uuid text":
		id, _, ok := strings.Cut(c.value, " ")
		return ok && (&cursor{value: id}).isOf("uuid") && c.isOf("text")
	}
	return utf8.ValidString(c.value) && strings.IndexByte(c.value, 0) < 0
}

// beforeAllTime stands for no time, in the order of times.
const beforeAllTime = "-infinity"

// timeValue is the text of an instant in a cursor.
func timeValue(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// lazily gives a function that asks once and remembers the answer.
func lazily[T any](ask func(ctx context.Context) (T, error)) func(ctx context.Context) (T, error) {
	var once sync.Once
	var answer T
	var err error
	return func(ctx context.Context) (T, error) {
		once.Do(func() { answer, err = ask(ctx) })
		return answer, err
	}
}
