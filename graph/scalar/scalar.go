// Package scalar reads and writes the scalars of the schema. It is strict where
// gqlgen's own functions are not: a String does not take 7, an Int has 32 bits,
// and text is Unicode without NUL.
package scalar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"roster/graph/execute"
)

// MarshalString writes a string.
func MarshalString(s string) graphql.Marshaler { return appended(execute.AppendString, s) }

// UnmarshalString takes text without NUL, which the database cannot keep.
func UnmarshalString(v any) (string, error) {
	text, ok := v.(string)
	switch {
	case !ok:
		return "", errors.New("must be a string")
	case strings.IndexByte(text, 0) >= 0:
		return "", errors.New("must not contain the character NUL")
	case !utf8.ValidString(text):
		return "", errors.New("must be valid UTF-8")
	}
	return text, nil
}

// MarshalID writes an id.
func MarshalID(id string) graphql.Marshaler { return MarshalString(id) }

// UnmarshalID takes a string or an integer, which stands for its digits (GraphQL
// specification, 3.5.5). No id here is a number, so that nothing is found by it.
func UnmarshalID(v any) (string, error) {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10), nil
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "", errors.New("must be a string or an integer")
		}
		return v.String(), nil
	}
	return UnmarshalString(v)
}

// MarshalBoolean writes a boolean.
func MarshalBoolean(b bool) graphql.Marshaler { return appended(execute.AppendBool, b) }

// UnmarshalBoolean takes true and false only.
func UnmarshalBoolean(v any) (bool, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	return false, errors.New("must be true or false")
}

// MarshalInt writes an integer.
func MarshalInt(i int) graphql.Marshaler { return appended(execute.AppendInt[int], i) }

// UnmarshalInt takes integers of 32 bits (GraphQL specification, 3.5.1).
func UnmarshalInt(v any) (int, error) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case int:
		text = strconv.Itoa(v)
	case int64:
		text = strconv.FormatInt(v, 10)
	default:
		return 0, errors.New("must be an integer")
	}
	i, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("must be an integer from %d to %d", math.MinInt32, math.MaxInt32)
	}
	return int(i), nil
}

// MarshalDateTime writes an instant as RFC 3339 in UTC with microseconds.
func MarshalDateTime(t time.Time) graphql.Marshaler { return appended(execute.AppendTime, t) }

// instant is the grammar of RFC 3339, 5.6. time.Parse takes more: a comma, hours of
// one digit, and zones of 24 hours and more.
var instant = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// maxInstant is the most bytes of an instant that is read: fractions of a second
// have no end of their own.
const maxInstant = 64

// UnmarshalDateTime reads RFC 3339 in any zone, to the microsecond. In UTC, in
// which it will be written, the year must have four digits, too.
func UnmarshalDateTime(v any) (time.Time, error) {
	text, _ := v.(string)
	text = strings.ToUpper(text[:min(len(text), maxInstant+1)])
	t, err := time.Parse(time.RFC3339Nano, text)
	if t = t.UTC(); err != nil || len(text) > maxInstant || !instant.MatchString(text) || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, errors.New("must be an instant such as 2026-11-23T08:00:00Z")
	}
	return t.Truncate(time.Microsecond), nil
}

// maxDepth is how deep JSON values may nest, maxJSON how many bytes their texts and
// numbers have together: more than any field keeps.
const (
	maxDepth = 32
	maxJSON  = 256 << 10
)

// MarshalJSON writes JSON as it is, and an empty text as null.
func MarshalJSON(v json.RawMessage) graphql.Marshaler {
	if len(v) == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(v) })
}

// UnmarshalJSON takes any JSON value whose strings UnmarshalString would take.
func UnmarshalJSON(v any) (json.RawMessage, error) {
	left := maxJSON
	v, err := checkedJSON(v, 0, &left)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, errors.New("must be a JSON value")
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// checkedJSON returns v, with an empty list for each nil slice: gqlparser makes nil
// slices of empty lists in documents, and as JSON they would be null. left is how many
// bytes v may have.
func checkedJSON(v any, depth int, left *int) (_ any, err error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("must nest at most %d deep", maxDepth)
	}
	switch v := v.(type) {
	case string:
		return checkedText(v, left)
	case json.Number:
		return v, spend(left, len(v))
	case []any:
		if v == nil {
			return []any{}, nil
		}
		for i := range v {
			if v[i], err = checkedJSON(v[i], depth+1, left); err != nil {
				return nil, err
			}
		}
		return v, spend(left, len(v))
	case map[string]any:
		for key := range v {
			if _, err = checkedText(key, left); err == nil {
				v[key], err = checkedJSON(v[key], depth+1, left)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func checkedText(text string, left *int) (string, error) {
	if err := spend(left, len(text)); err != nil {
		return "", err
	}
	return UnmarshalString(text)
}

func spend(left *int, bytes int) error {
	if *left -= bytes; *left < 0 {
		return fmt.Errorf("must have at most %d bytes", maxJSON)
	}
	return nil
}

// appended returns a marshaler that writes v as package execute does.
func appended[T any](write func([]byte, T) []byte, v T) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(write(nil, v)) })
}
