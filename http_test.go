package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
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
		handler := (&server{config: &config{corsOrigins: c.origins}}).withCORS(api)
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			r := httptest.NewRequestWithContext(t.Context(), method, "/graphql", nil)
			r.Header.Set("Origin", c.origin)
			if method == http.MethodOptions {
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != c.allowed || w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s by %s with %q: %v, want %q", method, c.origin, c.origins, w.Header(), c.allowed)
			}
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	for url, transport := range map[string]string{"": "", "http://roster.example.com": "", "https://roster.example.com": "max-age=31536000"} {
		w := httptest.NewRecorder()
		(&server{config: &config{publicURL: url}}).secured(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
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
		{(*config).setCORSOrigins, "https://a.example/", false},
		{(*config).setCORSOrigins, "https://a.example,", false},
		{(*config).setTrustedDocuments, "no/such/file", false},
		{(*config).setTrustedDocuments, "go.mod", false},
		{(*config).setTrustedDocuments, manifest, true},
		{(*config).setTrustedOnly, "", true},
		{(*config).setTrustedOnly, "all", false}, // without documents
		{(*config).setCostPerSecond, "1000", true},
		{(*config).setCostPerSecond, "0", false},
		{(*config).setCostPerSecond, "many", false},
	} {
		if err := c.set(&config{}, c.value); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.value, err)
		}
	}
}
