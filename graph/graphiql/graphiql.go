// Package graphiql is the playground: the page on which people try the API.
//
// Everything that the page needs is in the binary, so that it works without
// internet. It has neither inline scripts nor inline styles of its own; its
// Content-Security-Policy below says what it does need.
//
// A key that is typed into the page, or filled in for the developer, stays in
// the page's memory: see assets/playground.js for how, and config.go for who is
// handed one.
package graphiql

import (
	"net/http"

	"roster/secret"
)

//go:generate ./update.sh

// Options say what the page talks to and what it opens with.
type Options struct {
	// Endpoint is the path of the GraphQL endpoint; empty means "/graphql".
	Endpoint string
	// AdminKey is filled into the page as the credential of every request. It is
	// for development only and must be empty elsewhere: a proxy on the same machine
	// which hides that it is one makes the whole world look like this machine.
	AdminKey secret.Text
	// Examples are opened as tabs, in this order.
	Examples []Example
}

// policy allows what GraphiQL does, and nothing from elsewhere: its style sheet
// carries fonts and pictures as data: URLs, and its dialogs add style elements
// while they are open.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"font-src 'self' data:; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at /, and what it loads under /graphiql/.
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

// servePage is never cached, so that a new release brings its new scripts.
func servePage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	assets["index.html"].serve(w, r)
}
