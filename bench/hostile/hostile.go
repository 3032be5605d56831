// Package hostile has requests that are made to harm a GraphQL server: by their
// documents (documents.go), by operations that take long on the demo business
// (operations.go), and by bodies around harmless documents (bodies.go). Tests and
// measurements send them all. Begin with Requests.
package hostile

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Documents returns each document by its name. It writes them anew: some are large.
func Documents() map[string]string {
	all := make(map[string]string, len(documents))
	for name, write := range documents {
		all[name] = write()
	}
	return all
}

// Request is one POST to the API, with a body of application/json.
type Request struct {
	Name string
	Body []byte
}

// Requests returns all requests. A client that holds every permission makes the
// server work hardest by them; they change nothing for good.
func Requests() []Request {
	var all []Request
	for _, written := range []map[string]func() string{documents, operations} {
		for _, name := range slices.Sorted(maps.Keys(written)) {
			all = append(all, Request{name, body(written[name](), nil)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		all = append(all, Request{name, []byte(bodies[name]())})
	}
	return all
}

// body returns the body of a request for a document.
func body(query string, variables any) []byte {
	text, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		panic(err) // never: texts and lists of texts can be marshalled
	}
	return text
}

// withVariables returns a body with variables that are JSON already.
func withVariables(query, variables string) string {
	text := string(body(query, nil))
	return strings.Replace(text, `"variables":null`, `"variables":`+variables, 1)
}
