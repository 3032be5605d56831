package format

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"roster/problem"
)

// usersPrefix begins the JSON of Firebase's command line: {"users": [.
var usersPrefix = regexp.MustCompile(`^\s*\{\s*"users"\s*:\s*\[`)

// beginJSON prepares for reading JSON, of which head is the beginning.
func (r *Reader) beginJSON(source *source, head []byte) error {
	if r.format == CSV || r.format == OrganizationsCSV {
		return problem.New(problem.Invalid, "This is JSON, not CSV.")
	}
	o := &objects{reader: r, source: source, names: personNames,
		known: map[string]column{}, decoder: newDecoder()}
	prefix := usersPrefix.FindIndex(source.window())
	if prefix != nil {
		source.take(prefix[1], countLines(source.window()[:prefix[1]]))
		o.inList = true
	}
	o.byLine = prefix == nil && head[0] == '{' && isLines(head)
	found := sampleNames(source.window(), o.byLine)
	if r.isAuto() {
		for name := range r.custom {
			if found[name] {
				r.format = KindeNDJSON // unless it is another one, besides
			}
		}
		if format := formatOf(found, head[0] == '['); format != Auto {
			r.format = format
		}
	}
	if r.isAuto() {
		return problem.New(problem.Invalid, "This is JSON, but not of people: none of its first objects has an email address, a phone number, a username or an id.")
	}
	if o.organizations = r.format == KindeExport && found["organizationcode"]; o.organizations {
		o.names = organizationNames
	}
	r.next = o.next
	return nil
}

// isLines reports whether the JSON has an object on each line, rather than objects over
// several lines.
func isLines(head []byte) bool {
	first, _, several := bytes.Cut(head, []byte("\n"))
	for line := range bytes.Lines(head) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '{' && jsontext.Value(line).IsValid() {
			return true
		}
	}
	first = bytes.TrimSpace(first)
	return !several || first[len(first)-1] == '}'
}

// sampleNames returns the normalized names of the members of the first objects, also of
// those that are nested once, as "identities.type".
func sampleNames(window []byte, byLine bool) map[string]bool {
	found := map[string]bool{}
	var scan scanner
	for range 20 {
		window = bytes.TrimLeft(window, " \t\r\n,[")
		size, ended := bytes.IndexByte(window, '\n'), true
		if size < 0 {
			size = len(window)
		}
		if scan = (scanner{}); !byLine {
			size, ended = scan.on(window)
		}
		if !ended || size == 0 {
			break
		}
		members(jsontext.Value(window[:size]), func(name string, v jsontext.Value) {
			name = normalized(name)
			found[name] = true
			nested := func(inner string, _ jsontext.Value) { found[name+"."+normalized(inner)] = true }
			members(v, nested)
			elements(v, func(one jsontext.Value) { members(one, nested) })
		})
		window = window[size:]
	}
	return found
}

// formatOf returns the format of JSON in which objects have these names, or nothing if they
// are no people.
func formatOf(found map[string]bool, isArray bool) Format {
	has := func(names ...string) bool {
		for _, name := range names {
			if found[name] {
				return true
			}
		}
		return false
	}
	switch {
	case has("rosterid"):
		return KindeNDJSON
	case has("organizationcode") && has("name"):
		return KindeExport // its organizations, out of the zip
	case has("localid", "provideruserinfo"):
		return FirebaseNDJSON
	case has("passwordhash") && has("id.$oid", "altid", "identifiers", "tmpisunique", "tenant"):
		return Auth0PasswordHashes
	case has("custompasswordhash", "mfafactors"), isArray && has("userid", "passwordhash", "usermetadata", "appmetadata", "emailverified", "givenname", "familyname"):
		return Auth0BulkJSON
	case has("userid", "usermetadata", "appmetadata", "connection", "identities.connection", "givenname", "familyname", "loginscount"):
		return Auth0Export
	case has("id", "externalid", "email", "phone", "username", "identities"):
		return KindeNDJSON
	}
	return Auto
}

// csvFormat returns the format of CSV with these columns.
func csvFormat(columns []column) Format {
	format, people, called := CSV, false, false
	for _, c := range columns {
		head, path, _ := strings.Cut(normalized(c.name), ".")
		switch head {
		case "userid", "connection", "usermetadata", "appmetadata", "loginscount":
			format = Auth0Export
		case "identities":
			if path != "" {
				format = Auth0Export
			}
		}
		called = called || organizationNames[head] == &organizationFields[0]
		people = people || organizationNames[head] == nil
	}
	if called && !people {
		return OrganizationsCSV
	}
	return format
}
