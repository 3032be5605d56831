package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/rs/cors"

	"roster/graph"
	"roster/graph/transport"
	"roster/oauth"
	"roster/signin/pages"
)

// newAPI returns the handler of GraphQL.
func (s *server) newAPI() *transport.Handler {
	return transport.NewHandler(transport.Options{
		Schema: graph.NewSchema(s.directory, s.signIn, s.transfer), Directory: s.directory, Authenticate: s.signIn.Authenticate, Transfer: s.transfer, Cookies: s.cookies, Log: s.log, Introspection: s.dev, Metrics: s.metrics,
		CostPerSecond: s.costPerSecond, Trusted: s.trusted, TrustedOnly: s.trustedOnly,
	})
}

// newDoors returns the handler of the pages, and the one for applications. They send browsers
// to each other.
func (s *server) newDoors(api *transport.Handler) (*pages.Pages, *oauth.Handler) {
	var provider *oauth.Handler
	signInPages := pages.New(pages.Options{
		SignIn: s.signIn, Directory: s.directory, Cookies: s.cookies, ReturnOrigins: append(s.origins(), s.returnOrigins...), Urgently: api.Urgently, Denied: api.Denied, Log: s.log,
		LeadsTo: func(ctx context.Context, path string) string { return provider.LeadsTo(ctx, path) },
	})
	provider = oauth.New(oauth.Options{SignIn: s.signIn, Directory: s.directory, Cookies: s.cookies, JWKS: s.tokens.ServeJWKS, Refuse: signInPages.Refuse, Urgently: api.Urgently, Denied: api.Denied, Log: s.log})
	return signInPages, provider
}

// origins returns the origins whose pages may call the API.
func (s *server) origins() []string {
	if s.corsOrigins == "" {
		return nil
	}
	return strings.Split(s.corsOrigins, ",")
}

// withCORS lets pages of the configured origins, and of no others, call the API with the
// cookie of a session (Fetch, 3.2).
func (s *server) withCORS(next http.Handler) http.Handler {
	if s.corsOrigins == "" {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins:   s.origins(),
		AllowCredentials: true,
		AllowedMethods:   []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: []string{
			"Authorization", "Content-Type", "Roster-At-Least", "Roster-Organization", "Idempotency-Key", "X-Request-Id",
			"X-GraphQL-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name", "X-Apollo-Operation-Id",
			"Apollographql-Client-Name", "Apollographql-Client-Version", "Graphql-Client-Name", "Graphql-Client-Version", "X-Requested-With",
			"Traceparent", "Tracestate", "Baggage", "Sentry-Trace", // of browsers that take part in a trace
		},
		ExposedHeaders: []string{"Retry-After", "X-Request-Id"},
		MaxAge:         600, // seconds
	}).Handler(next)
}

// withSecurityHeaders sets the headers by which browsers keep answers from being
// misused. The playground and the pages have a
// Content-Security-Policy of their own.
func (s *server) withSecurityHeaders(next http.Handler) http.Handler {
	secure := strings.HasPrefix(s.publicURL, "https:")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = []string{"nosniff"}
		h["Referrer-Policy"] = []string{"no-referrer"}
		h["X-Frame-Options"] = []string{"DENY"}
		h["Content-Security-Policy"] = []string{"default-src 'none'; frame-ancestors 'none'"}
		if secure {
			h["Strict-Transport-Security"] = []string{"max-age=31536000"}
		}
		next.ServeHTTP(w, r)
	})
}

// withClearFraming ends the connection after a request in chunks. If its header had a
// Content-Length, too, a proxy may take the rest for a request of another client, and
// the connection must end (RFC 9112, 6.1); net/http hides whether it had. Clients that
// send chunks are rare.
func withClearFraming(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			w.Header()["Connection"] = []string{"close"}
		}
		next.ServeHTTP(w, r)
	})
}
