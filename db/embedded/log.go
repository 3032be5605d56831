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

// logbook carries PostgreSQL's own log to ours: faults of statements at Debug,
// for their callers are told; what the server cannot live with at Warn.
type logbook struct {
	to      *slog.Logger
	serving *atomic.Bool
	read    chan struct{} // closed at the log's end

	fatal atomic.Pointer[string] // the last FATAL or PANIC
	last  atomic.Pointer[string]
}

// follow reads until every process that could write has ended.
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
		// Before it serves, a fault is the error of the attempt to start, and
		// after that it only tells that clients are turned away.
		if l.serving.Load() {
			level = slog.LevelWarn
		}
	}
	l.to.Log(context.Background(), level, "PostgreSQL: "+text, "severity", severity)
}

// failure is why a postgres that has ended did so, in its own words.
func (l *logbook) failure() error {
	for _, text := range []*string{l.fatal.Load(), l.last.Load()} {
		if text != nil {
			return errors.New(*text)
		}
	}
	return errors.New("it said nothing")
}
