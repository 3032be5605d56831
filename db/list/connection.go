package list

import (
	"context"
	"slices"
)

// Connection is one page of a list of T, as Relay has it.
type Connection[T any] struct {
	Nodes []*T

	cursor                   func(*T) string
	hasNextPage, hasPrevious bool
	count                    func(ctx context.Context) (int, error)
}

// Edge is one element of a connection and the cursor that stands at it.
type Edge[T any] struct {
	Node   *T
	cursor func(*T) string
}

// PageInfo is Relay's page information.
type PageInfo struct {
	HasNextPage, HasPreviousPage bool
	StartCursor, EndCursor       *string
}

// Cursor returns the text of the cursor at the edge. Page takes it as After or
// Before.
func (e *Edge[T]) Cursor() string { return e.cursor(e.Node) }

// Edges returns the elements with their cursors.
func (c *Connection[T]) Edges() []*Edge[T] {
	edges := make([]*Edge[T], len(c.Nodes))
	for i, node := range c.Nodes {
		edges[i] = &Edge[T]{node, c.cursor}
	}
	return edges
}

// PageInfo returns where the page lies in its list.
func (c *Connection[T]) PageInfo() *PageInfo {
	info := &PageInfo{HasNextPage: c.hasNextPage, HasPreviousPage: c.hasPrevious}
	if n := len(c.Nodes); n > 0 {
		first, last := c.cursor(c.Nodes[0]), c.cursor(c.Nodes[n-1])
		info.StartCursor, info.EndCursor = &first, &last
	}
	return info
}

// TotalCount returns the number of nodes in the whole list, whatever the page.
// Nothing is counted before it is called.
func (c *Connection[T]) TotalCount(ctx context.Context) (int, error) { return c.count(ctx) }

// newConnection returns the page of what was read for a span: up to Limit+1 nodes,
// in the order of reading.
func newConnection[T any](s Span, nodes []*T, cursor func(*T) string, count func(context.Context) (int, error)) *Connection[T] {
	more := len(nodes) > s.Limit
	if more {
		nodes = nodes[:s.Limit]
	}
	c := &Connection[T]{Nodes: nodes, cursor: cursor, count: count}
	if s.Backward {
		slices.Reverse(nodes)
		c.hasPrevious, c.hasNextPage = more, s.Before != nil
	} else {
		c.hasNextPage, c.hasPrevious = more, s.After != nil
	}
	return c
}
