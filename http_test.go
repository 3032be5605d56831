package main

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roster/graph/graphtest"
	"roster/telemetry"
)

func TestCORS(t *testing.T) {
	t.Parallel()
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	const known, unknown = "https://app.example.com", "https://evil.example.com"
	for _, c := range []struct{ origins, origin, allowed string }{
		{"", known, ""},
		{known, known, known},
		{"https://other.example.com," + known, known, known},
		{known, unknown, ""},
		{known, known + ".evil.example", ""},
		{known, "null", ""},
		{known, "http://app.example.com", ""},
	} {
		t.Run(c.origins+" "+c.origin, func(t *testing.T) {
			handler := (&server{config: &config{corsOrigins: c.origins}}).withCORS(api)
			for _, method := range []string{http.MethodOptions, http.MethodPost} {
				r := httptest.NewRequestWithContext(t.Context(), method, "/graphql", nil)
				r.Header.Set("Origin", c.origin)
				if method == http.MethodOptions {
					r.Header.Set("Access-Control-Request-Method", "POST")
					r.Header.Set("Access-Control-Request-Headers", "apollographql-client-name,apollographql-client-version,authorization,baggage,content-type,graphql-client-name,graphql-client-version,sentry-trace,traceparent,x-requested-with")
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				credentials := ""
				if c.allowed != "" {
					credentials = "true"
				}
				if got := w.Header().Get("Access-Control-Allow-Origin"); got != c.allowed || w.Header().Get("Access-Control-Allow-Credentials") != credentials {
					t.Errorf("%s by %s with %q: %v, want %q", method, c.origin, c.origins, w.Header(), c.allowed)
				}
			}
		})
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	for url, transport := range map[string]string{"": "", "http://roster.example.com": "", "https://roster.example.com": "max-age=31536000"} {
		w := httptest.NewRecorder()
		(&server{config: &config{publicURL: url}}).withSecurityHeaders(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": transport,
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%q: %s: %q, want %q", url, name, got, want)
			}
		}
	}
}

func TestSettingsOfRequests(t *testing.T) {
	t.Parallel()
	manifest := filepath.Join(t.TempDir(), "manifest.json")
	must(t, os.WriteFile(manifest, []byte(`{"version": "{ __typename }"}`), 0o600))
	for _, c := range []struct {
		set   func(*config, string) error
		value string
		ok    bool
	}{
		{(*config).setCORSOrigins, "", true},
		{(*config).setCORSOrigins, "https://a.example,http://localhost:3000", true},
		{(*config).setCORSOrigins, "*", false},
		{(*config).setCORSOrigins, "https://*.example.com", false},
		{(*config).setCORSOrigins, "https://a.example/", true},
		{(*config).setCORSOrigins, "https://a.example/, http://localhost:3000/", true},
		{(*config).setCORSOrigins, "https://a.example//", false},
		{(*config).setCORSOrigins, "https://a.example,", false},
		{(*config).setReturnOrigins, "", true},
		{(*config).setReturnOrigins, "https://a.example/, http://localhost:3000", true},
		{(*config).setReturnOrigins, "https://a.example/path", false},
		{(*config).setTrustedDocuments, "no/such/file", false},
		{(*config).setTrustedDocuments, "go.mod", false},
		{(*config).setTrustedDocuments, manifest, true},
		{(*config).setTrustedOnly, "", true},
		{(*config).setTrustedOnly, "all", false}, // without documents
		{(*config).setCostPerSecond, "1000", true},
		{(*config).setCostPerSecond, "0", false},
		{(*config).setCostPerSecond, "many", false},
	} {
		t.Run(c.value, func(t *testing.T) {
			if err := c.set(&config{}, c.value); (err == nil) != c.ok {
				t.Errorf("%q: %v", c.value, err)
			}
		})
	}
}

// Every address answers its own methods, lists them in answer to others, and sends the
// headers that keep browsers from misusing its answers.
func TestMethods(t *testing.T) {
	t.Parallel()
	web := serving(t, func(*http.Server) {})
	for path, allowed := range map[string]string{
		"/": "GET, HEAD", "/graphiql/config.json": "GET, HEAD", "/healthz": "GET, HEAD", "/metrics": "GET, HEAD", "/readyz": "GET, HEAD", "/schema.graphql": "GET, HEAD", "/nothing": "",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD"} {
			if path == "/readyz" && strings.Contains(allowed, method) {
				continue // needs a database
			}
			r, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, nil)
			must(t, err)
			w, err := client.Do(r)
			must(t, err)
			_ = w.Body.Close()
			want, allow := 405, allowed
			switch {
			case allowed == "":
				want = 404
			case strings.Contains(allowed, method):
				want, allow = 200, ""
			}
			if w.StatusCode != want || w.Header.Get("Allow") != allow {
				t.Errorf("%s %s answers %d, Allow %q; want %d, %q", method, path, w.StatusCode, w.Header.Get("Allow"), want, allow)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
				if w.Header.Get(name) != want {
					t.Errorf("%s %s: %s is %q", method, path, name, w.Header.Get(name))
				}
			}
			if policy := w.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
				t.Errorf("%s %s: the policy is %q", method, path, policy)
			}
		}
	}
}

// The server closes connections of clients that are slow with a header or a body, or
// that stay silent. The size of headers is bounded.
func TestConnectionsAreLetGo(t *testing.T) {
	t.Parallel()
	web := serving(t, func(s *http.Server) {
		if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= s.ReadHeaderTimeout || s.WriteTimeout <= s.ReadTimeout || s.IdleTimeout <= 0 {
			t.Errorf("timeouts: %v %v %v %v", s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout)
		}
		// The test shortens the times that clients have, but a whole request fits in them.
		s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout = 2*time.Second, 3*time.Second, time.Second
	})
	const header = "POST /graphql HTTP/1.1\r\nHost: roster\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct{ sent, answer string }{
		"no header":       {"", ""},
		"half a header":   {header, ""},
		"half a body":     {header + "Content-Length: 100\r\n\r\n{", "HTTP/1.1 400 "},
		"half a chunk":    {header + "Transfer-Encoding: chunked\r\n\r\n64\r\n{", "HTTP/1.1 400 "},
		"nothing more":    {"GET /healthz HTTP/1.1\r\nHost: roster\r\n\r\n", "HTTP/1.1 200 "},
		"a huge header":   {header + "A: " + strings.Repeat("a", 100_000) + "\r\n\r\n", "HTTP/1.1 431 "},
		"1000000 headers": {header + strings.Repeat("a:b\r\n", 100_000), "HTTP/1.1 431 "},
		"two lengths":     {header + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "HTTP/1.1 400 "},
		"no HTTP":         {"\x16\x03\x01", "HTTP/1.1 400 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(web.URL, "http://"))
			must(t, err)
			defer conn.Close()
			must(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
			_, _ = io.WriteString(conn, c.sent) // may be cut off
			got, err := io.ReadAll(conn)        // until the server hangs up
			if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(got), c.answer) || c.answer == "" && len(got) > 0 && !strings.HasPrefix(string(got), "HTTP/1.1 4") {
				t.Errorf("answered %.200q, %v; want %q", got, err, c.answer)
			}
		})
	}
}

// A request whose length is told in two ways ends its connection: a proxy may take
// the rest for another client's request. The next request on it is never answered.
func TestContradictingLengthsEndTheConnection(t *testing.T) {
	t.Parallel()
	api := graphtest.New(t)
	s := &server{config: &config{dev: true, addr: "localhost:0"}, log: slog.New(slog.DiscardHandler), metrics: telemetry.NewMetrics()}
	web := httptest.NewUnstartedServer(nil)
	web.Config = s.newHTTPServer(api.Handler, api.Handler.ServeSDL, http.NotFoundHandler(), http.NotFoundHandler(), http.NotFoundHandler())
	web.Start()
	t.Cleanup(web.Close)
	const header = "Host: roster\r\nContent-Type: application/json\r\n"
	const query = `{"query":"{__typename}"}`
	const next = "GET /healthz HTTP/1.1\r\nHost: roster\r\n\r\n"
	for name, c := range map[string]struct {
		sent, answer string
		open         bool
	}{
		"one length":                {"1.1\r\n" + header + "Content-Length: 24\r\n\r\n" + query, "200", true},
		"two lengths":               {"1.1\r\n" + header + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400", false},
		"a list of lengths":         {"1.1\r\n" + header + "Content-Length: 2, 3\r\n\r\n{}", "400", false},
		"a negative length":         {"1.1\r\n" + header + "Content-Length: -1\r\n\r\n{}", "400", false},
		"a length and chunks":       {"1.1\r\n" + header + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n18\r\n" + query + "\r\n0\r\n\r\n", "200", false},
		"a length, broken chunks":   {"1.1\r\n" + header + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{}{}\r\n", "400", false},
		"a length that is too low":  {"1.1\r\n" + header + "Content-Length: 9\r\n\r\n" + query, "400", false},
		"chunks in HTTP/1.0":        {"1.0\r\nConnection: keep-alive\r\n" + header + "Transfer-Encoding: chunked\r\n\r\n18\r\n" + query + "\r\n0\r\n\r\n", "400", false},
		"another encoding":          {"1.1\r\n" + header + "Transfer-Encoding: gzip, chunked\r\n\r\n", "501", false},
		"a length, then a document": {"1.1\r\n" + header + "Content-Length: 13\r\n\r\n" + `{"query":"{"}`, "400", false},
		"a document that is denied": {"1.1\r\n" + header + "Content-Length: 17\r\n\r\n" + `{"query":"{nix}"}`, "422", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(web.URL, "http://"))
			must(t, err)
			defer conn.Close()
			must(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
			_, err = io.WriteString(conn, "POST /graphql HTTP/"+c.sent)
			must(t, err)
			answers := bufio.NewReader(conn)
			first, err := http.ReadResponse(answers, nil)
			must(t, err)
			_, _ = io.Copy(io.Discard, first.Body)
			_ = first.Body.Close()
			_, _ = io.WriteString(conn, next) // may be cut off
			second, err := http.ReadResponse(answers, nil)
			if err == nil {
				_ = second.Body.Close()
			}
			if !strings.HasPrefix(first.Status, c.answer) || (err == nil) != c.open || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("answered %s, then %v; want %s, and an open connection: %v", first.Status, err, c.answer, c.open)
			}
		})
	}
}

// serving serves the program's addresses without a database: its API only reads bodies.
// change can change the server first.
func serving(t *testing.T, change func(*http.Server)) *httptest.Server {
	t.Helper()
	s := &server{config: &config{dev: true, addr: "localhost:0"}, log: slog.New(slog.DiscardHandler), metrics: telemetry.NewMetrics()}
	own := s.newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}), func(http.ResponseWriter, *http.Request) {}, http.NotFoundHandler(), http.NotFoundHandler(), http.NotFoundHandler())
	change(own)
	web := httptest.NewUnstartedServer(nil)
	web.Config = own
	web.Start()
	t.Cleanup(web.Close)
	return web
}
