// Package graphiql serves the playground, the page on which people try the API.
//
//	GET /                      the page
//	GET /graphiql/…            its scripts and styles, from assets/
//	GET /graphiql/config.json  endpoint, examples, and in development a key
//
// Everything that the page needs is in the binary, so it works without internet. It
// has no inline scripts or styles of its own; the Content-Security-Policy below
// lists what it needs.
//
// A key that a person types into the page, or that the server fills in for the
// developer, stays in the page's memory. See assets/playground.js for how, and
// config.go for the callers who receive one.
//
// Begin with Handler.
package graphiql

import (
	"net/http"

	"roster/secret"
)

//go:generate ./update.sh

// Options configure the page.
type Options struct {
	// Endpoint is the path of the GraphQL endpoint; empty means "/graphql".
	Endpoint string
	// AdminKey is filled into the page as the credential of every request, if the
	// caller is on this machine. Set it only in development: behind a proxy on the
	// same machine that hides itself, every caller looks like one on this machine.
	AdminKey secret.Text
	// Examples are opened as tabs, in this order.
	Examples []Example
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
