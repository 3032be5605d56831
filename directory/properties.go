package directory

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
	"roster/problem"
)

const (
	// maxProperties is the most bytes of free-form data, as it is stored and printed.
	maxProperties = 16 << 10
	// maxPropertiesSent is the most bytes that are read of it. Spaces and escapes
	// make a text longer than it is when stored.
	maxPropertiesSent = 8 * maxProperties
)

// properties checks free-form data: a JSON object; null and nothing are {}. It
// returns the text that the database will print for it, so that an answer right
// after the write is like every later one.
func (f *faults) properties(field string, value json.RawMessage) json.RawMessage {
	empty := json.RawMessage("{}")
	if len(value) == 0 {
		return empty
	}
	stored, err := storedObject(value)
	switch {
	case errors.Is(err, errTooLarge):
		f.Add(problem.Invalid, field, "At most %d bytes of JSON, with its numbers written out.", maxProperties)
	case errors.Is(err, errNotStorable):
		f.Add(problem.Invalid, field, "No zero characters, and no numbers beyond those of 64-bit floating point.")
	case err != nil:
		f.Add(problem.Invalid, field, "Must be a JSON object.")
	default:
		return stored
	}
	return empty
}

// setProperties puts an update's properties, if it has some, into the row.
func (f *faults) setProperties(field string, value graphql.Omittable[json.RawMessage], into *json.RawMessage) {
	if value.IsSet() {
		*into = f.properties(field, value.Value())
	}
}

var (
	errNotAnObject = errors.New("not a JSON object")
	errTooLarge    = errors.New("too large")
	errNotStorable = errors.New("not storable")
)

// storedObject returns the text which PostgreSQL prints for a JSON object, or for
// {} if it is null.
func storedObject(text json.RawMessage) (json.RawMessage, error) {
	if len(text) > maxPropertiesSent {
		return nil, errTooLarge
	}
	if !json.Valid(text) {
		return nil, errNotAnObject
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil, errNotAnObject
	}
	switch value := value.(type) {
	case nil:
		return json.RawMessage("{}"), nil
	case map[string]any:
		return appendStored(nil, value)
	}
	return nil, errNotAnObject
}

// appendStored appends a decoded value as the type jsonb prints it: short keys
// first, a space after each comma and colon, and numbers without an exponent. It
// stops where that is longer than properties may be, however short the value was:
// 1e308 has 309 digits.
func appendStored(b []byte, value any) (_ []byte, err error) {
	switch value := value.(type) {
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.SortedFunc(maps.Keys(value), byLength) {
			if i > 0 {
				b = append(b, ", "...)
			}
			if b, err = appendStored(b, key); err != nil {
				return nil, err
			}
			if b, err = appendStored(append(b, ": "...), value[key]); err != nil {
				return nil, err
			}
		}
		b = append(b, '}')
	case []any:
		b = append(b, '[')
		for i, element := range value {
			if i > 0 {
				b = append(b, ", "...)
			}
			if b, err = appendStored(b, element); err != nil {
				return nil, err
			}
		}
		b = append(b, ']')
	case string:
		b, err = appendStoredText(b, value)
	case json.Number:
		b, err = appendStoredNumber(b, value.String())
	case bool:
		b = strconv.AppendBool(b, value)
	default:
		b = append(b, "null"...)
	}
	if err == nil && len(b) > maxProperties {
		err = errTooLarge
	}
	return b, err
}

// byLength is the order of keys in jsonb.
func byLength(one, other string) int {
	if len(one) != len(other) {
		return len(one) - len(other)
	}
	return strings.Compare(one, other)
}

func appendStoredText(b []byte, text string) ([]byte, error) {
	if !db.Storable(text) {
		return nil, errNotStorable
	}
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		default:
			b = appendEscape(b, c)
		}
	}
	return append(b, '"'), nil
}

// appendEscape appends a control character.
func appendEscape(b []byte, c byte) []byte {
	if i := strings.IndexByte("\b\f\n\r\t", c); i >= 0 {
		return append(b, '\\', "bfnrt"[i])
	}
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}

// appendStoredNumber appends a number of JSON as the type numeric prints it: as
// many digits behind the point as it was given, moved by its exponent.
func appendStoredNumber(b []byte, text string) ([]byte, error) {
	mantissa, exponentText, _ := strings.Cut(strings.ToLower(text), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent := 0
	if exponentText != "" {
		var err error
		if exponent, err = strconv.Atoi(exponentText); err != nil || exponent < -math.MaxInt16 || exponent > math.MaxInt16 {
			return nil, errNotStorable
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n == 0 && digits != "" {
		return nil, errNotStorable
	}
	if negative && digits != "" {
		b = append(b, '-')
	}
	return appendScaled(b, digits, len(fraction)-exponent)
}

// appendScaled appends digits, the last scale of which stand behind the point. If
// scale is negative, so many zeros follow the digits.
func appendScaled(b []byte, digits string, scale int) ([]byte, error) {
	if len(b)+len(digits)+max(scale, -scale) > maxProperties {
		return nil, errTooLarge
	}
	switch {
	case digits == "" && scale < 0:
		return append(b, '0'), nil
	case scale < 0:
		digits += strings.Repeat("0", -scale)
		scale = 0
	case len(digits) <= scale:
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	point := len(digits) - scale
	if digits == "" {
		return append(b, '0'), nil
	}
	b = append(b, digits[:point]...)
	if scale > 0 {
		b = append(append(b, '.'), digits[point:]...)
	}
	return b, nil
}
