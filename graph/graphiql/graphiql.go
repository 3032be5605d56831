// Package graphiql serves the playground, the page on which people try the API.
//
//	GET /                      the page
//	GET /graphiql/…            its scripts and styles, from assets/
//	GET /graphiql/config.json  endpoint and examples
//	POST /graphiql/session     a session for the one-time token of the link
//
// Everything that the page needs is in the binary, so it works without internet. It
// has no inline scripts or styles of its own; the Content-Security-Policy below
// lists what it needs.
//
// The administrator's key is never served: the link that the server prints opens a
// session (session.go). A key that a person types into the page stays in the page's
// memory; assets/playground.js says how.
//
// Begin with Handler.
package graphiql

import "net/http"

//go:generate ./update.sh

// Options configure the page.
type Options struct {
	// Endpoint is the path of the GraphQL endpoint; empty means "/graphql".
	Endpoint string
	// Sessions opens the session of the printed link; nil opens none.
	Sessions *Sessions
	// Demo is true if the examples may speak of the demo business.
	Demo bool
}

// policy allows only what GraphiQL does, and nothing from elsewhere. Its style sheet
// contains fonts and pictures as data: URLs, and its dialogs add style elements
// while they are open.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"font-src 'self' data:; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler returns a handler that serves the page at /, and the files that it loads
// under /graphiql/.
func Handler(o Options) http.Handler {
	if o.Endpoint == "" {
		o.Endpoint = "/graphql"
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("GET /graphiql/config.json", o.serveConfig)
	mux.HandleFunc("GET /graphiql/{path...}", serveAsset)
	if o.Sessions != nil {
		mux.Handle("POST /graphiql/session", o.Sessions)
	}
	return mux
}

// servePage serves the page uncached, so that a new release brings its new scripts.
func servePage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	assets["index.html"].serve(w, r)
}
