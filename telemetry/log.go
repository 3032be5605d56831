package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/trace"

	"roster/changes"
)

// Format is the format of log lines.
type Format string

// The formats of logs.
const (
	LogAuto Format = ""     // LogText if the output is a terminal, otherwise LogJSON
	LogText Format = "text" // key=value
	LogJSON Format = "json" // one object on each line
)

// NewLogger returns a logger that writes lines from level upwards to w. Durations
// have a unit, such as 1.5s. A line that is logged with the context of a request has
// its request_id, and the trace_id if the request is traced; in a logger with a group
// (WithGroup) they belong to the group.
func NewLogger(w io.Writer, format Format, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if format == LogText || format == LogAuto && IsTerminal(w) {
		return slog.New(requestHandler{slog.NewTextHandler(w, options)})
	}
	return slog.New(requestHandler{slog.NewJSONHandler(w, options)})
}

// readable writes durations as "1.5s", because a number would have no unit.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// IsTerminal reports whether w is a character device. Besides terminals, only
// /dev/null matters, for which the format does not.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// requestHandler adds the ids of the request and its trace to log lines.
type requestHandler struct{ slog.Handler }

// Handle adds the ids that the context carries.
func (h requestHandler) Handle(ctx context.Context, record slog.Record) error {
	if id := changes.RequestID(ctx); id != "" {
		record.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs wraps the new handler, so that it adds the ids, too.
func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup wraps the new handler, so that it adds the ids, too.
func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
