package embedded

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
)

// logbook copies the log of PostgreSQL to ours: errors of statements at level Debug,
// because the callers report them, and fatal errors of the server at Warn.
type logbook struct {
	to      *slog.Logger
	serving *atomic.Bool
	read    chan struct{} // closed at the end of the log

	fatal atomic.Pointer[string] // the last FATAL or PANIC
	last  atomic.Pointer[string]
}

// follow reads until every process that could write to the log has ended.
func (l *logbook) follow(in io.ReadCloser) {
	defer close(l.read)
	defer in.Close()
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			l.write(line)
		}
		if err != nil {
			return
		}
	}
}

func (l *logbook) write(line string) {
	severity, text, found := strings.Cut(line, ":  ")
	if !found {
		severity, text = "", line
	}
	l.last.Store(&text)
	level := slog.LevelDebug
	if severity == "FATAL" || severity == "PANIC" {
		l.fatal.Store(&text)
		// Before and after PostgreSQL serves, it is no more than the reason why a
		// start fails or a client is disconnected.
		if l.serving.Load() {
			level = slog.LevelWarn
		}
	}
	l.to.Log(context.Background(), level, "PostgreSQL: "+text, "severity", severity)
}

// failure returns the reason why postgres has ended, in its own words.
func (l *logbook) failure() error {
	for _, text := range []*string{l.fatal.Load(), l.last.Load()} {
		if text != nil {
			return errors.New(*text)
		}
	}
	return errors.New("it said nothing")
}
