package transport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"roster/graph"
	"roster/graph/graphtest"
	"roster/graph/transport"
	"roster/problem"
	"roster/telemetry"
)

// lockedBuffer is a log that requests write side by side.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// take returns the lines since it was last called.
func (b *lockedBuffer) take(t *testing.T) (lines []graphtest.Object) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.String()) {
		var one graphtest.Object
		graphtest.Must(t, json.Unmarshal([]byte(line), &one))
		lines = append(lines, one)
	}
	b.Reset()
	return lines
}

// Each kind of denial is counted, and leaves a line at INFO with the ids of who was
// denied: at most a few in a row for each client, and nothing that a client sent.
func TestDenialsAreLoggedAndCounted(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	reader := b.Holding(t, "", "roster:users:read")
	standing := b.StandingFor(t, "ada@example.com", "acme", "roster:users:read")
	granter := b.Holding(t, "acme", "roster:members:write", "roster:members:read")
	ids := func(key string) graphtest.Object {
		v := b.As(t, key, `{ viewer { apiKey { id } user { id } organization { id } } }`, nil)
		all := graphtest.Object{"key": v.Text("viewer.apiKey.id")}
		for _, kind := range []string{"user", "organization"} {
			if v.At("viewer."+kind) != nil {
				all[kind] = v.Text("viewer." + kind + ".id")
			}
		}
		return all
	}
	log, metrics := &lockedBuffer{}, telemetry.NewMetrics()
	watched := *b
	watched.Handler = transport.NewHandler(transport.Options{
		Schema: graph.NewSchema(b.Directory, nil, nil), Directory: b.Directory, Metrics: metrics,
		Log: telemetry.NewLogger(log, telemetry.LogJSON, slog.LevelInfo),
	})
	const unknown = "rk_unknownsecret"
	for _, c := range []struct {
		name, key, query string
		codes, reason    string
		ids              graphtest.Object
	}{
		{"no credential", "", `{ users { totalCount } }`, "[UNAUTHENTICATED]", "", nil},
		{"unknown key", unknown, `{ users { totalCount } }`, "[UNAUTHENTICATED]", "", nil},
		{"forbidden", reader, `{ settings { allowSelfSignUp } a: settings { allowSelfSignUp } }`, "[FORBIDDEN]", "This needs the permission roster:settings:read.", ids(reader)},
		{"forbidden to a user", standing, `{ user(by: {email: "secret@example.com"}) { id } }`, "[FORBIDDEN]", "This needs the permission roster:users:read.", ids(standing)},
		{"escalation", granter, `mutation { ada: grantPermissions(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], permissions: [{key: "invoices:read"}]}) { memberships { id } } }`,
			"[ESCALATION]", "invoices:read", ids(granter)},
		{"limited", reader, "{" + strings.Repeat("ada__typename: __typename ", 6000) + "}", "[LIMITED]", "", ids(reader)},
		{"not denied", reader, `{ users { totalCount } nothing }`, "", "", nil},
		{"allowed", reader, `{ users { totalCount } }`, "", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			watched.As(t, c.key, c.query, nil)
			lines := log.take(t)
			if c.codes == "" {
				if len(lines) > 0 {
					t.Errorf("logged %v", lines)
				}
				return
			}
			if len(lines) != 1 {
				t.Fatalf("logged %v", lines)
			}
			line := lines[0]
			for name, want := range c.ids {
				if line[name] != want {
					t.Errorf("%s is %v, want %v", name, line[name], want)
				}
				delete(line, name)
			}
			reason, _ := line["reason"].(string)
			if line["level"] != "INFO" || line["msg"] != "denied" || fmt.Sprint(line["codes"]) != c.codes || (reason == "") != (c.reason == "") || !strings.Contains(reason, c.reason) {
				t.Errorf("logged %v", line)
			}
			for _, known := range []string{"time", "level", "msg", "codes", "reason", "request_id"} {
				delete(line, known)
			}
			if len(line) > 0 {
				t.Errorf("the line also has %v", line)
			}
			if said := reason; strings.Contains(said, "ada") || strings.Contains(said, "rk_") || strings.Contains(said, "@") {
				t.Errorf("the line tells %q", said)
			}
		})
	}
	const many = 40
	for range many {
		watched.As(t, reader, `{ settings { allowSelfSignUp } }`, nil)
	}
	if n := len(log.take(t)); n < 1 || n > many/2 {
		t.Errorf("%d lines about one client", n)
	}
	watched.As(t, granter, `{ settings { allowSelfSignUp } }`, nil)
	if lines := log.take(t); len(lines) != 1 {
		t.Errorf("another client left %v", lines)
	}
	log.take(t)
	at := httptest.NewRequest(http.MethodPost, "/signin?account=secret@example.com", http.NoBody)
	at.RemoteAddr = "198.51.100.7:1"
	watched.Handler.Denied(t.Context(), at, "pages", problem.Invalid, problem.Unauthenticated, problem.Limited, problem.Limited)
	if lines := log.take(t); len(lines) != 1 || lines[0]["door"] != "pages" || fmt.Sprint(lines[0]["codes"]) != "[UNAUTHENTICATED LIMITED]" || strings.Contains(fmt.Sprint(lines[0]), "secret") {
		t.Errorf("another door left %v", lines)
	}
	watched.Handler.Denied(t.Context(), at, "pages", problem.Invalid)
	if lines := log.take(t); len(lines) != 0 {
		t.Errorf("what is no denial left %v", lines)
	}
	w := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for code, n := range map[string]int{"UNAUTHENTICATED": 3, "FORBIDDEN": 3 + many, "ESCALATION": 1, "LIMITED": 2} {
		if line := fmt.Sprintf("roster_denials_total{code=%q} %d\n", code, n); !strings.Contains(w.Body.String(), line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
}
