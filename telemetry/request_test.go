package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"roster/changes"
)

var discard = slog.New(slog.DiscardHandler)

// lines collects log lines.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts a server with handler inside of the middleware. It returns its
// address, metrics and log.
func serve(t *testing.T, handler http.HandlerFunc) (url string, m *Metrics, log *lines) {
	t.Helper()
	m, log = NewMetrics(), &lines{}
	server := httptest.NewServer(m.Middleware(NewLogger(log, LogJSON, slog.LevelDebug), handler))
	t.Cleanup(server.Close)
	return server.URL, m, log
}

func get(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sent []string
		kept bool
	}{
		"none":               {nil, false},
		"empty":              {[]string{""}, false},
		"letters and digits": {[]string{"Az09._-"}, true},
		"64 characters":      {[]string{strings.Repeat("a", 64)}, true},
		"65 characters":      {[]string{strings.Repeat("a", 65)}, false},
		"a space":            {[]string{"a b"}, false},
		"a quote":            {[]string{`a"b`}, false},
		"an end of line":     {[]string{"a\n"}, false},
		"not ASCII":          {[]string{"ä"}, false},
		"an address":         {[]string{"ann@example.com"}, false},
		"two":                {[]string{"a", "b"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen string
			handler := NewMetrics().Middleware(discard, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				seen = changes.RequestID(r.Context())
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["X-Request-Id"] = test.sent
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if sent := w.Header().Get("X-Request-Id"); sent != seen {
				t.Errorf("the handler sees %q, the client %q", seen, sent)
			}
			if test.kept {
				if seen != test.sent[0] {
					t.Errorf("got %q, want %q", seen, test.sent[0])
				}
				return
			}
			if id, err := uuid.Parse(seen); err != nil || id.Version() != 7 || id.String() != seen {
				t.Errorf("%q is not a UUIDv7", seen)
			}
		})
	}
}

func TestRequestsAreMeasuredAndLogged(t *testing.T) {
	t.Parallel()
	url, m, log := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short")
	})
	secret := strings.Repeat("s", maxLogged+1)
	if response, _, err := get(t, url+"/path/"+secret+"/end?email=ann@example.com"); err != nil || response.StatusCode != http.StatusTeapot {
		t.Fatal(response, err)
	}
	eventually(t, func() bool { return log.String() != "" })
	var line map[string]any
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
		t.Fatal(err)
	}
	if line["method"] != "GET" || line["path"] != "/path/***/end" || line["status"] != 418.0 || line["bytes"] != 5.0 || line["request_id"] == nil || line["level"] != "DEBUG" {
		t.Error(log)
	}
	if strings.Contains(log.String(), "ann@") || strings.Contains(log.String(), secret) {
		t.Error("a secret is logged:", log)
	}
	expect(t, m, `roster_http_requests_total{method="GET",status="4xx"} 1`, "roster_http_request_duration_seconds_count 1", "roster_http_requests_in_flight 0")
}

// eventually waits until done returns true. The server measures and logs a request
// after the client has the answer.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not happen within 5 s")
}

func TestInformationalStatusIsNotFinal(t *testing.T) {
	t.Parallel()
	url, m, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNotFound)
	})
	if _, _, err := get(t, url); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		return strings.Contains(scrape(t, m), `roster_http_requests_total{method="GET",status="4xx"} 1`)
	})
}

func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	url, m, log := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		panic("at the disco")
	})
	response, body, err := get(t, url)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"errors":[{"message":"Internal server error.","extensions":{"code":"INTERNAL","requestId":"` + response.Header.Get("X-Request-Id") + `"}}]}`
	if response.StatusCode != http.StatusInternalServerError || body != want {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if strings.Contains(body, "disco") {
		t.Error("the client sees the cause")
	}
	eventually(t, func() bool { return strings.Count(log.String(), "\n") == 2 })
	for _, part := range []string{`"level":"ERROR"`, "at the disco", "request_test.go", `"request_id"`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("no %s in the log: %s", part, log)
		}
	}
	expect(t, m, `roster_http_requests_total{method="GET",status="5xx"} 1`, "roster_http_requests_in_flight 0")
}

func TestPanicAfterTheHeaderCutsTheAnswer(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]any{"panic": "late", "abort": http.ErrAbortHandler} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, m, log := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"data":`)
				_ = http.NewResponseController(w).Flush()
				panic(cause)
			})
			if _, body, err := get(t, url); err == nil {
				t.Errorf("the client takes %q for a whole answer", body)
			}
			eventually(t, func() bool {
				return strings.Contains(scrape(t, m), `roster_http_requests_total{method="GET",status="5xx"} 1`)
			})
			if logged := strings.Contains(log.String(), `"stack"`); logged != (name == "panic") {
				t.Error(log)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	next := make(chan bool)
	url, m, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error("deadlines are out of reach:", err)
		}
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-next
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(response.Body, first); err != nil {
		t.Error("nothing arrived before the end:", err)
	}
	expect(t, m, "roster_http_requests_in_flight 1")
	close(next)
	eventually(t, func() bool { return strings.Contains(scrape(t, m), "\nroster_http_requests_in_flight 0") })
	expect(t, m, `roster_http_requests_total{method="GET",status="2xx"} 1`, "roster_http_request_duration_seconds_count 0")
}

func TestHijack(t *testing.T) {
	t.Parallel()
	url, m, log := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		panic("after hijacking")
	})
	if response, _, err := get(t, url); err != nil || response.StatusCode != http.StatusNoContent {
		t.Error(response, err)
	}
	eventually(t, func() bool { return strings.Contains(log.String(), "after hijacking") })
	eventually(t, func() bool {
		return strings.Contains(scrape(t, m), `roster_http_requests_total{method="GET",status="1xx"} 1`)
	})
}
