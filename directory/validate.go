package directory

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"golang.org/x/text/unicode/norm"

	"roster/problem"
)

// The longest values that are accepted, in characters unless it says bytes.
const (
	maxEmail       = 254 // RFC 5321, 4.5.3.1.3, without the angle brackets
	maxName        = 200
	maxUsername    = 64
	maxExternalID  = 200
	maxURL         = 2048
	maxDescription = 2000
	maxReason      = 1000
	maxCode        = 63
	maxProperties  = 16 << 10 // bytes
	maxList        = 1000     // elements of an input list
)

// faults collects what is wrong with an input, so that the caller learns all of it at
// once. Its methods return the value in the form in which it is stored.
type faults struct{ *problem.List }

// about reports whether something is wrong with one of the fields.
func (f *faults) about(fields ...string) bool {
	return slices.ContainsFunc(*f.List, func(p *problem.Error) bool { return slices.Contains(fields, p.Field) })
}

// text checks a line of text that a person reads; a blank one becomes nil.
func (f *faults) text(field string, value *string, longest int) *string {
	if value == nil {
		return nil
	}
	clean := strings.TrimSpace(norm.NFC.String(*value))
	if clean == "" {
		return nil
	}
	if utf8.RuneCountInString(clean) > longest {
		f.Add(problem.Invalid, field, "At most %d characters.", longest)
	}
	if !storable(clean) || strings.ContainsFunc(clean, unicode.IsControl) {
		f.Add(problem.Invalid, field, "No control characters.")
	}
	return &clean
}

// prose is text that may have several lines.
func (f *faults) prose(field string, value *string, longest int) *string {
	if value == nil {
		return nil
	}
	lines := strings.NewReplacer("\r\n", "\n", "\t", " ").Replace(*value)
	flat := strings.ReplaceAll(lines, "\n", " ")
	if f.text(field, &flat, longest) == nil {
		return nil
	}
	clean := strings.TrimSpace(norm.NFC.String(lines))
	return &clean
}

// name checks text that must not be missing.
func (f *faults) name(field, value string) string {
	clean := f.text(field, &value, maxName)
	if clean == nil {
		f.Add(problem.Invalid, field, "Must not be empty.")
		return ""
	}
	return *clean
}

// identifier checks text by which something is found; it must not be blank unless it
// is nil.
func (f *faults) identifier(field string, value *string, longest int) *string {
	clean := f.text(field, value, longest)
	if value != nil && clean == nil {
		f.Add(problem.Invalid, field, "Must not be empty; use null for none.")
	}
	return clean
}

// email checks that the value looks like an address (RFC 5321, with the letters
// of RFC 6531); it cannot find out whether the address exists.
func (f *faults) email(field string, value *string) *string {
	clean := f.identifier(field, value, maxEmail)
	if clean == nil {
		return nil
	}
	at := strings.LastIndexByte(*clean, '@')
	if at < 1 || at == len(*clean)-1 || strings.ContainsFunc(*clean, unicode.IsSpace) ||
		strings.ContainsAny((*clean)[at:], `<>()[],;:\"`) || strings.ContainsAny((*clean)[:at], `<>()[],;:\"@`) {
		f.Add(problem.Invalid, field, "Not an email address.")
	}
	return clean
}

func (f *faults) username(field string, value *string) *string {
	clean := f.identifier(field, value, maxUsername)
	if clean != nil && strings.ContainsFunc(*clean, func(r rune) bool { return unicode.IsSpace(r) || r == '@' }) {
		f.Add(problem.Invalid, field, "No spaces and no @.")
	}
	return clean
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

// phone checks a number in E.164, with the usual separators.
func (f *faults) phone(field string, value *string) *string {
	clean := f.identifier(field, value, 40)
	if clean == nil {
		return nil
	}
	digits := strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "").Replace(*clean)
	if !e164.MatchString(digits) {
		f.Add(problem.Invalid, field, "Not a phone number in international form, such as +442079460958.")
	}
	return &digits
}

func (f *faults) url(field string, value *string) *string {
	clean := f.identifier(field, value, maxURL)
	if clean == nil {
		return nil
	}
	if parsed, err := url.Parse(*clean); err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
		f.Add(problem.Invalid, field, "Not an address that begins with https:// or http://.")
	}
	return clean
}

var keyPattern = regexp.MustCompile(`^[a-z0-9:._-]{1,128}$`)

// key checks the key of a permission or role.
func (f *faults) key(field, value string) string {
	if !keyPattern.MatchString(value) {
		f.Add(problem.Invalid, field, "A key has 1 to 128 characters of a-z 0-9 : . _ -")
	}
	return value
}

// properties checks free-form data, a JSON object; null and nothing become {}.
func (f *faults) properties(field string, value json.RawMessage) json.RawMessage {
	if len(value) == 0 {
		return json.RawMessage("{}")
	}
	canonical, decoded := canonicalJSON(value)
	switch object, isObject := decoded.(map[string]any); {
	case canonical != nil && decoded == nil:
		return json.RawMessage("{}")
	case !isObject:
		f.Add(problem.Invalid, field, "Must be a JSON object.")
	case len(canonical) > maxProperties:
		f.Add(problem.Invalid, field, "At most %d bytes of JSON.", maxProperties)
	case !storableJSON(object):
		f.Add(problem.Invalid, field, "No zero characters, and no numbers beyond those of 64-bit floating point.")
	}
	return canonical
}

// setProperties puts an update's properties, if it has some that differ, into
// the row. The database orders and spaces JSON in its own way.
func (f *faults) setProperties(field string, value graphql.Omittable[json.RawMessage], into *json.RawMessage) {
	if !value.IsSet() {
		return
	}
	properties := f.properties(field, value.Value())
	if present, _ := canonicalJSON(*into); !bytes.Equal(properties, present) {
		*into = properties
	}
}

// canonicalJSON returns the one text of a JSON value, whatever the order of keys and
// the white space of this one, and the value; nil if text is not JSON.
func canonicalJSON(text json.RawMessage) (json.RawMessage, any) {
	if !json.Valid(text) {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil, nil
	}
	var canonical bytes.Buffer
	encoder := json.NewEncoder(&canonical)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) != nil {
		return nil, nil
	}
	return bytes.TrimSpace(canonical.Bytes()), value
}

// storableJSON reports whether the database can hold a decoded JSON value.
func storableJSON(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, element := range value {
			if !storable(key) || !storableJSON(element) {
				return false
			}
		}
	case []any:
		return !slices.ContainsFunc(value, func(element any) bool { return !storableJSON(element) })
	case string:
		return storable(value)
	case json.Number:
		n, err := value.Float64()
		return err == nil && (n != 0 || !strings.ContainsAny(value.String(), "eE"))
	}
	return true
}

// storable reports whether the database can hold a text: it can hold neither zero
// characters nor invalid UTF-8.
func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// size checks the length of an input list, and reports whether it is right: a list
// of another length is not checked any further.
func (f *faults) size(field string, length, least int) bool {
	if length < least {
		f.Add(problem.Invalid, field, "Must not be empty.")
	}
	if length > maxList {
		f.Add(problem.Invalid, field, "At most %d at once.", maxList)
	}
	return length >= least && length <= maxList
}

// set puts an update's value, if it has one, into the row.
func set[T any](value graphql.Omittable[T], into *T) {
	if value.IsSet() {
		*into = value.Value()
	}
}
