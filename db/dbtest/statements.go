package dbtest

import (
	"context"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Statements notes the text of every statement: give it to New, and count what
// a piece of work costs the database.
type Statements struct {
	// Feed notes what the feed of changes asks, too, which it does whenever it likes.
	Feed bool

	mu    sync.Mutex
	texts []string
}

// TraceQueryStart notes one statement; begin and commit are none.
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

// Take gives what was noted since the last call.
func (s *Statements) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts := s.texts
	s.texts = nil
	return texts
}
