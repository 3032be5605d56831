package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"roster/changes"
)

func TestLogLines(t *testing.T) {
	t.Parallel()
	m, _ := traced(t)
	ctx, operation := m.Operation(changes.WithRequestID(t.Context(), "r1"), "query", "")
	defer operation.End()
	var out bytes.Buffer
	log := NewLogger(&out, LogAuto, slog.LevelInfo)
	log.With("part", "test").InfoContext(ctx, "hello", "took", 1500*time.Millisecond)
	log.DebugContext(ctx, "too low")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil { // fails for more than one line
		t.Fatal(err, out.String())
	}
	if line["msg"] != "hello" || line["part"] != "test" || line["took"] != "1.5s" || line["request_id"] != "r1" || len(line["trace_id"].(string)) != 32 {
		t.Error(out.String())
	}
	out.Reset()
	NewLogger(&out, LogText, slog.LevelInfo).Info("hello")
	if !strings.HasSuffix(out.String(), "level=INFO msg=hello\n") {
		t.Error("outside of a request there is an id:", out.String())
	}
}
