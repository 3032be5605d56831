package graphtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roster/changes"
)

// Object is a JSON object.
type Object = map[string]any

// Refs returns references by that field.
func Refs(field string, values ...string) []Object {
	all := make([]Object, len(values))
	for i, value := range values {
		all[i] = Object{field: value}
	}
	return all
}

// RequestID is the id of all requests that Send sends.
const RequestID = "request-of-a-test"

// Send sends a request with a body as it is.
func (b *Server) Send(t testing.TB, method, target string, header http.Header, body []byte) *Answer {
	t.Helper()
	r := httptest.NewRequestWithContext(changes.WithRequestID(t.Context(), RequestID), method, target, bytes.NewReader(body))
	maps.Copy(r.Header, header)
	if b.Source != "" {
		r.RemoteAddr = b.Source
	}
	w := httptest.NewRecorder()
	b.Handler.ServeHTTP(w, r)
	a := &Answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
	if err := json.Unmarshal(a.Body, a); err != nil {
		t.Errorf("%v in %s", err, a.Body)
	}
	return a
}

// Headers returns the headers of a POST with the API key, unless it is empty.
func Headers(key string) http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	return header
}

// As sends an operation with the API key, unless it is empty.
func (b *Server) As(t testing.TB, key, query string, variables Object) *Answer {
	t.Helper()
	header, body := Request(t, key, query, variables)
	return b.Send(t, http.MethodPost, "/graphql", header, body)
}

// Insist is As for an operation without variables, which it sends again as long as the server
// has too much to do, as clients are told to: on a busy machine, turns come late.
func (b *Server) Insist(t testing.TB, key, query string) *Answer {
	t.Helper()
	a := b.As(t, key, query, nil)
	for a.Status == http.StatusServiceUnavailable && t.Context().Err() == nil {
		a = b.As(t, key, query, nil)
	}
	return a
}

// Request returns the header and the body of a request with the API key, unless it is empty.
// For a mutation that names the variable file, it declares that if need be, and sends a small file.
func Request(t testing.TB, key, query string, variables Object) (http.Header, []byte) {
	t.Helper()
	begin, rest, isMutation := strings.Cut(query, "mutation")
	if !isMutation || !strings.Contains(query, "$file") {
		body, err := json.Marshal(Object{"query": query, "variables": variables})
		Must(t, err)
		return Headers(key), body
	}
	if !strings.Contains(query, "$file:") {
		rest = "($file: Upload!)" + rest
	}
	operations, err := json.Marshal(Object{"query": begin + "mutation" + rest, "variables": mergeVariables([]Object{variables, {"file": nil}})})
	Must(t, err)
	return FormOf(t, key, operations)
}

// FormOf returns the header and the body of a request with the API key and a small file, the
// variable file of the operations.
func FormOf(t testing.TB, key string, operations []byte) (http.Header, []byte) {
	t.Helper()
	header := Headers(key)
	header.Set("X-GraphQL-Preflight", "1")
	return Form(t, header, map[string]string{"operations": string(operations), "map": `{"0": ["variables.file"]}`}, "people.csv", []byte("email\nsomebody@example.com\n"))
}

// Ask sends an operation as the administrator, and fails the test if there are errors.
func (b *Server) Ask(t testing.TB, query string, variables ...Object) *Answer {
	t.Helper()
	a := b.As(t, b.Key, query, mergeVariables(variables))
	if len(a.Errors) > 0 || a.Status != http.StatusOK {
		t.Fatalf("%d for %s\n%s", a.Status, query, a.Body)
	}
	return a
}

// Refused sends an operation as the administrator, and reports an error unless it
// fails with those codes and without data.
func (b *Server) Refused(t testing.TB, codes, query string, variables ...Object) *Answer {
	t.Helper()
	a := b.As(t, b.Key, query, mergeVariables(variables))
	if a.Codes() != codes || a.Data != nil {
		t.Errorf("%s\nanswers %s\nwant %s", query, a.Body, codes)
	}
	return a
}

func mergeVariables(all []Object) Object {
	one := Object{}
	for _, variables := range all {
		maps.Copy(one, variables)
	}
	return one
}

// Document returns one document of the fields that field returns for each number.
func Document(operation string, from, to int, field func(i int) string) string {
	var text strings.Builder
	text.WriteString(operation + " {\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&text, "f%d: %s\n", i, field(i))
	}
	text.WriteString("}")
	return text.String()
}

// Quote returns text as a JSON string.
func Quote(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// Filled returns a JSON value in which every text has value in the place of mark.
func Filled(v any, mark, value string) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, mark, value)
	case Object:
		filled := Object{}
		for name, element := range v {
			filled[name] = Filled(element, mark, value)
		}
		return filled
	case []any:
		filled := make([]any, len(v))
		for i, element := range v {
			filled[i] = Filled(element, mark, value)
		}
		return filled
	}
	return v
}
