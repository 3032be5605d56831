package hostile

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Documents gives each document by its name. They are written anew: some are
// large.
func Documents() map[string]string {
	all := make(map[string]string, len(documents))
	for name, write := range documents {
		all[name] = write()
	}
	return all
}

// Request is one POST to the API: its name, and its body of application/json.
type Request struct {
	Name string
	Body []byte
}

// Requests gives all requests: each document, what is worst to answer on the demo
// business, and bodies whose harm is not in their document. Who holds every
// permission makes the server work hardest; nothing is changed for good.
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

// body is that of a request for a document.
func body(query string, variables any) []byte {
	text, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		panic(err) // no text and no list of texts fails
	}
	return text
}

// withVariables is a body in which variables are JSON as it is.
func withVariables(query, variables string) string {
	text := string(body(query, nil))
	return strings.Replace(text, `"variables":null`, `"variables":`+variables, 1)
}
