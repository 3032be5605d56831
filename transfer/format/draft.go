package format

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// draft is a record in the making. Each value of the file sets a part of it; finish settles
// what depends on several of them.
type draft struct {
	Record
	reader *Reader
	// id, altID and externalID compete for the external id: the last one that is there
	// wins.
	id, altID, externalID string
	displayName           string
	tree                  tree
	password              password
	// placement is the index of the one that cells add to, and -1 before there is one.
	placement int
}

func (r *Reader) newDraft(line int) *draft {
	return &draft{Record: Record{Line: line}, reader: r, placement: -1}
}

// value is one of a file: a cell, or JSON.
type value struct {
	cell string
	json jsontext.Value // nil for a cell
}

// isEmpty reports whether the file says nothing by the value.
func (v value) isEmpty() bool {
	if v.json == nil {
		return v.cell == ""
	}
	return v.json.Kind() == 'n'
}

// text returns the text of a value, trimmed.
func (d *draft) text(column string, v value) string {
	if v.json == nil {
		return v.cell
	}
	switch v.json.Kind() {
	case 'n':
		return ""
	case '"':
		text := strings.TrimSpace(unquoted(v.json))
		if strings.IndexByte(text, 0) < 0 {
			return text
		}
		d.fail(MalformedRow, column, "There is a NUL in the text.")
		return ""
	}
	d.fail(InvalidType, column, "A text is needed here, not %s.", quoted(string(v.json)))
	return ""
}

// key returns the text of a value that may be a number, too, such as an id.
func (d *draft) key(column string, v value) string {
	if v.json != nil && v.json.Kind() == '0' {
		return string(v.json)
	}
	return d.text(column, v)
}

// flag returns the truth that a value says, or nil if it is no truth.
func (d *draft) flag(column string, v value) *bool {
	if v.json != nil && v.json.Kind() == '"' {
		v = value{cell: d.text(column, v)}
	}
	text := v.cell
	if v.json != nil {
		text = string(v.json)
	}
	switch strings.ToLower(text) {
	case "true", "yes", "1":
		return new(true)
	case "false", "no", "0":
		return new(false)
	case "", "null":
		return nil
	}
	d.fail(InvalidType, column, "TRUE or FALSE is needed here, not %s.", quoted(text))
	return nil
}

// list returns the texts that a value lists: an array, or a cell with commas.
func (d *draft) list(column string, v value) []string {
	var list []string
	if v.json == nil || v.json.Kind() == '"' {
		for one := range strings.SplitSeq(d.text(column, v), ",") {
			if one = strings.TrimSpace(one); one != "" {
				list = append(list, one)
			}
		}
		return list
	}
	if !v.isEmpty() && !elements(v.json, func(one jsontext.Value) {
		if text := d.text(column, value{json: one}); text != "" {
			list = append(list, text)
		}
	}) {
		d.fail(InvalidType, column, "A list is needed here, not %s.", quoted(string(v.json)))
	}
	return list
}

// name returns a value as the name of a person, on one line.
func (d *draft) name(column string, v value) string {
	text := d.text(column, v)
	if !strings.ContainsAny(text, "\n\r\v\f\u0085\u2028\u2029") {
		return text
	}
	d.warn(Formatting, column, "The line breaks in the name became spaces.")
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool {
		return unicode.IsSpace(c) && c != ' ' || c == '\u2028' || c == '\u2029'
	}), " ")
}

// object returns the JSON that a value holds, also as the text in a cell. It returns nil if
// there is none, or if it does not begin with one of the given brackets, which is an error of
// the record.
func (d *draft) object(column string, v value, brackets string) jsontext.Value {
	raw := v.json
	if raw == nil || raw.Kind() == '"' {
		raw = jsontext.Value(d.text(column, v))
		if len(raw) == 0 {
			return nil
		}
		if !raw.IsValid() {
			d.fail(InvalidType, column, "JSON is needed here, not %s.", quoted(string(raw)))
			return nil
		}
	}
	if strings.IndexByte(brackets, byte(raw.Kind())) < 0 {
		d.fail(InvalidType, column, "JSON that begins with one of %s is needed here, not %s.", brackets, quoted(string(raw)))
		return nil
	}
	return raw
}

// property sets a property.
func (d *draft) property(name string, v jsontext.Value) {
	if d.Properties == nil {
		d.Properties = map[string]json.RawMessage{}
	}
	d.Properties[name] = json.RawMessage(v.Clone())
}

// email takes over one of a person's addresses: the first one, unless a later one is theirs
// above all.
func (d *draft) email(column, address string, verified *bool, aboveAll bool) {
	d.EmailVerified = d.only(column, &d.Email, address, d.EmailVerified, verified, aboveAll)
}

// phone takes over one of a person's numbers, like email.
func (d *draft) phone(column, number string, verified *bool, aboveAll bool) {
	d.PhoneVerified = d.only(column, &d.Phone, number, d.PhoneVerified, verified, aboveAll)
}

// only makes text the value of what a person has one of, unless there is another that counts
// more, and returns whether the value is verified.
func (d *draft) only(column string, held *string, text string, was, verified *bool, aboveAll bool) *bool {
	switch {
	case text == "":
		return was
	case *held == "":
		*held = text
	case strings.EqualFold(*held, text):
	case aboveAll:
		d.warn(UnsupportedField, column, "A person has one of these here: %s is left out.", quoted(*held))
		*held = text
		return verified
	default:
		d.warn(UnsupportedField, column, "A person has one of these here: %s is left out.", quoted(text))
		return was
	}
	if was == nil {
		return verified
	}
	return was
}

// place returns the placement that cells add to.
func (d *draft) place() *Placement {
	if d.placement < 0 {
		d.placement = len(d.Organizations)
		d.Organizations = append(d.Organizations, Placement{})
	}
	return &d.Organizations[d.placement]
}

// auth0Prefix begins the ids of people whose passwords are with Auth0.
const auth0Prefix = "auth0|"

// finish returns the record.
func (d *draft) finish() Record {
	if d.Organization != nil {
		if len(d.Errors) == 0 && d.Organization.Name == "" {
			d.fail(AnyOfMissing, d.reader.Column("name"), "The organization has no name.")
		}
		return d.Record
	}
	for _, id := range []string{d.id, d.altID, d.externalID} {
		if id != "" {
			d.ExternalID = id
		}
	}
	isAuth0 := d.reader.format.isAuth0()
	if isAuth0 && d.externalID == "" {
		d.accountOf(d.ExternalID)
	}
	if bare, ok := strings.CutPrefix(d.ExternalID, auth0Prefix); ok {
		d.ExternalIDAlias = bare
	} else if isAuth0 && d.ExternalID != "" && !strings.Contains(d.ExternalID, "|") {
		d.ExternalIDAlias = auth0Prefix + d.ExternalID
	}
	// Auth0 takes the address for the name of those who have none.
	if d.GivenName == "" && d.FamilyName == "" && !strings.Contains(d.displayName, "@") {
		given, family, _ := strings.Cut(d.displayName, " ")
		d.GivenName, d.FamilyName = given, strings.TrimSpace(family)
	}
	for name, inner := range d.tree {
		if text, err := json.Marshal(inner); err == nil && d.Properties[name] == nil {
			d.property(name, text)
		}
	}
	d.finishPassword()
	if len(d.Errors) == 0 && d.ID == "" && d.Email == "" && d.Phone == "" && d.Username == "" && d.ExternalID == "" {
		d.fail(AnyOfMissing, "", "The row has no email address, phone number, username or id.")
	}
	return d.Record
}
