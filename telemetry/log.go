package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/trace"

	"roster/changes"
)

// Format is how log lines are written.
type Format string

// The formats of logs.
const (
	LogAuto Format = ""     // text for a person at a terminal, else JSON
	LogText Format = "text" // key=value
	LogJSON Format = "json" // one object a line
)

// NewLogger makes a logger of lines from level upwards, with durations in words.
// A line that is logged with the context of a request has its request_id, and
// the trace_id of its trace; inside a group (WithGroup) these land in the group.
func NewLogger(w io.Writer, format Format, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if format == LogText || format == LogAuto && isTerminal(w) {
		return slog.New(requestHandler{slog.NewTextHandler(w, options)})
	}
	return slog.New(requestHandler{slog.NewJSONHandler(w, options)})
}

// readable writes durations as "1.5s": as numbers, their unit would be missing.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// isTerminal tells whether w is a device for characters; apart from terminals
// only /dev/null is one that matters, and it does not mind.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// requestHandler says which request a line belongs to.
type requestHandler struct{ slog.Handler }

// Handle adds what the context knows.
func (h requestHandler) Handle(ctx context.Context, record slog.Record) error {
	if id := changes.RequestID(ctx); id != "" {
		record.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs keeps the handler around the one that it makes.
func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the handler around the one that it makes.
func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
