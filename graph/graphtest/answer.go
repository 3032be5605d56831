package graphtest

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Answer is a response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Data   any
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
	Extensions struct{ Cost struct{ Requested int } }
}

// Codes returns the codes of the errors, joined by spaces.
func (a *Answer) Codes() string {
	all := make([]string, len(a.Errors))
	for i, e := range a.Errors {
		all[i], _ = e.Extensions["code"].(string)
	}
	return strings.Join(all, " ")
}

// Field returns extensions.field of the i-th error.
func (a *Answer) Field(i int) string {
	field, _ := a.Errors[i].Extensions["field"].(string)
	return field
}

// At returns the value at a path of the data, such as "users.nodes.0.name"; nil if
// there is none.
func (a *Answer) At(path string) any { return At(a.Data, path) }

// Text is At for a string.
func (a *Answer) Text(path string) string {
	text, _ := a.At(path).(string)
	return text
}

// List is At for a list.
func (a *Answer) List(path string) []any {
	list, _ := a.At(path).([]any)
	return list
}

// Texts returns the string at a path of each element of a list.
func (a *Answer) Texts(list, path string) []string {
	all := []string{}
	for _, element := range a.List(list) {
		text, _ := At(element, path).(string)
		all = append(all, text)
	}
	return all
}

// At returns the value at a path of a JSON value; nil if there is none.
func At(v any, path string) any {
	if path == "" {
		return v
	}
	for name := range strings.SplitSeq(path, ".") {
		switch inner := v.(type) {
		case Object:
			v = inner[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(inner) {
				return nil
			}
			v = inner[i]
		default:
			return nil
		}
	}
	return v
}

// Code returns the code of the i-th error.
func (a *Answer) Code(i int) string {
	code, _ := a.Errors[i].Extensions["code"].(string)
	return code
}

var inProse = regexp.MustCompile(`(?i)\b(sql|pgx?|postgres|bun|constraint|goroutine|nil|runtime|panic|json\.|strconv|utf8mb4|gqlparser|gqlgen|map\[|interface|struct|int64|float64|unmarshal\w*)\b`)

// Plain reports an error if a message has a word of Go's, of SQL's or of a library's.
func Plain(t testing.TB, a *Answer) {
	t.Helper()
	for _, e := range a.Errors {
		if word := inProse.FindString(e.Message); word != "" {
			t.Errorf("%q speaks of %q", e.Message, word)
		}
	}
}
