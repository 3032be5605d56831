package directory

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"roster/db"
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
	maxKey         = 128  // of a role or permission
	maxList        = 1000 // elements of an input list
)

// faults collects what is wrong with an input, so that the caller learns all of it at
// once. Its methods return the value in the form in which it is stored.
type faults struct{ *problem.List }

// about reports whether something is wrong with one of the fields.
func (f *faults) about(fields ...string) bool {
	return slices.ContainsFunc(*f.List, func(p *problem.Error) bool { return slices.Contains(fields, p.Field) })
}

// bytesPerCharacter is the most bytes that one character of text in NFC takes up
// when it is sent in parts, as letters and marks.
const bytesPerCharacter = 9

// tooLarge reports whether text has so many bytes that it has more than longest
// characters, whatever they are. It is asked before anything that takes longer with
// longer texts.
func tooLarge(text string, longest int) bool { return len(text) > longest*bytesPerCharacter }

// bound adds a fault to text that is too large, and cuts it, so that judging the
// rest of the input costs little.
func (f *faults) bound(field, value string, longest int) string {
	value = strings.TrimSpace(value)
	if tooLarge(value, longest) {
		f.tooLong(field, longest)
		value = strings.ToValidUTF8(value[:longest], "")
	}
	return value
}

func (f *faults) tooLong(field string, longest int) {
	f.Add(problem.Invalid, field, "At most %d characters.", longest)
}

// line checks a line of text; blank is as good as none.
func (f *faults) line(field string, value *string, longest int) *string {
	if value == nil {
		return nil
	}
	clean := strings.TrimSpace(norm.NFC.String(f.bound(field, *value, longest)))
	if clean == "" {
		return nil
	}
	if utf8.RuneCountInString(clean) > longest {
		f.tooLong(field, longest)
	}
	if !db.Storable(clean) || strings.ContainsFunc(clean, isControl) {
		f.Add(problem.Invalid, field, "No control characters.")
	}
	return &clean
}

// isControl reports whether a character ends a line or is none that is shown.
func isControl(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// text checks a line of text by which people know something.
func (f *faults) text(field string, value *string, longest int) *string {
	clean := f.line(field, value, longest)
	if clean != nil && !allVisible(*clean) {
		f.Add(problem.Invalid, field, "It has a character that shows nothing, such as a zero-width space.")
	}
	return clean
}

// prose is text that may have several lines.
func (f *faults) prose(field string, value *string, longest int) *string {
	if value == nil {
		return nil
	}
	before := len(*f.List)
	lines := strings.NewReplacer("\r\n", "\n", "\t", " ").Replace(f.bound(field, *value, longest))
	if len(*f.List) > before {
		return nil
	}
	flat := strings.ReplaceAll(lines, "\n", " ")
	if f.line(field, &flat, longest) == nil {
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

// identifier is text by which something is found, so that, if given, it must
// not be blank. It is no longer when it is compared than it may be.
func (f *faults) identifier(field string, value *string, longest int) *string {
	clean := f.text(field, value, longest)
	switch {
	case clean == nil && value != nil:
		f.Add(problem.Invalid, field, "Must not be empty; use null for none.")
	case clean != nil && !f.about(field) && utf8.RuneCountInString(db.Fold(*clean)) > longest:
		f.tooLong(field, longest)
	}
	return clean
}

// email checks that the value looks like an address (RFC 5321, with the letters
// of RFC 6531, and a domain by IDNA); whether it exists only mail can tell.
func (f *faults) email(field string, value *string) *string {
	clean := f.identifier(field, value, maxEmail)
	if clean != nil && !f.about(field) && !isAddress(*clean) {
		f.Add(problem.Invalid, field, "Not an email address.")
	}
	return clean
}

func isAddress(text string) bool {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || strings.ContainsFunc(text, unicode.IsSpace) {
		return false
	}
	local := text[:at]
	_, err := db.Domain(text[at+1:])
	return err == nil && !strings.ContainsAny(local, `<>()[],;:\"@`) && !strings.ContainsFunc(local, db.Ignorable)
}

// username checks a name for signing in: UsernameCasePreserved of RFC 8265, of
// which it returns the form that is shown, and no @, which is for addresses.
func (f *faults) username(field string, value *string) *string {
	clean := f.identifier(field, value, maxUsername)
	if clean == nil || f.about(field) {
		return clean
	}
	name, err := precis.UsernameCasePreserved.String(*clean)
	if err != nil || strings.ContainsRune(name, '@') {
		f.Add(problem.Invalid, field, "A username has letters and digits of any script, and punctuation of ASCII; no spaces, no @, no symbols.")
		return clean
	}
	return &name
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
	return f.address(field, value, "https", "http")
}

// secureURL checks an address for pages on which people sign in.
func (f *faults) secureURL(field string, value *string) *string {
	return f.address(field, value, "https")
}

// address checks a URL with one of the schemes.
func (f *faults) address(field string, value *string, schemes ...string) *string {
	clean := f.identifier(field, value, maxURL)
	if clean == nil {
		return nil
	}
	if parsed, err := url.Parse(*clean); err != nil || parsed.Host == "" || !slices.Contains(schemes, parsed.Scheme) {
		f.Add(problem.Invalid, field, "Not an address that begins with %s://.", strings.Join(schemes, ":// or "))
	}
	return clean
}

var keyPattern = regexp.MustCompile(`^[a-z0-9:._-]+$`)

// key checks the key of a permission or role. It returns an empty text instead of a
// wrong key.
func (f *faults) key(field, value string) string {
	if !isKey(value) {
		f.Add(problem.Invalid, field, "A key has 1 to %d characters of a-z 0-9 : . _ -", maxKey)
		return ""
	}
	return value
}

// isKey reports whether text can be the key of a role or permission.
func isKey(text string) bool { return len(text) <= maxKey && keyPattern.MatchString(text) }

// size checks the length of an input list, and reports whether it is right: a list
// of another length is not checked any further.
func (f *faults) size(field string, length, least int) bool {
	if length < least {
		f.Add(problem.Invalid, field, "Must not be empty.")
	}
	if length > maxList {
		f.Add(problem.Invalid, field, "At most %d at once.", maxList)
	}
	return f.fits(length, least)
}

// fits is size without the fault.
func (f *faults) fits(length, least int) bool { return length >= least && length <= maxList }

// editText puts an update's value, if it has one that differs, into the row, in the
// form in which check returns it. What stays is not judged again: it may be of an
// older rule.
func editText(check func(field string, value *string) *string, field string, value graphql.Omittable[*string], into **string) {
	if !value.IsSet() || value.Value() != nil && *into != nil && *value.Value() == **into {
		return
	}
	*into = check(field, value.Value())
}

// of is a check of texts up to a length.
func of(check func(field string, value *string, longest int) *string, longest int) func(field string, value *string) *string {
	return func(field string, value *string) *string { return check(field, value, longest) }
}
