package dbtest

import (
	"context"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Statements is a tracer that collects the text of every statement. Pass it to
// New, and count what a piece of work asks of the database.
type Statements struct {
	// Feed includes the statements of the feed of changes, which runs in the background.
	Feed bool

	mu    sync.Mutex
	texts []string
}

// TraceQueryStart adds one statement. It ignores begin, commit and rollback.
func (s *Statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !s.Feed && strings.HasSuffix(conn.Config().RuntimeParams["application_name"], " feed") {
		return ctx
	}
	switch strings.ToLower(strings.TrimRight(data.SQL, "; ")) {
	case "begin", "commit", "rollback", "":
		return ctx
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, data.SQL)
	return ctx
}

// TraceQueryEnd does nothing.
func (*Statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Take returns the statements since the last call.
func (s *Statements) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts := s.texts
	s.texts = nil
	return texts
}
