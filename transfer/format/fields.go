package format

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// field is one that files have, whatever the format: the vendors mean the same by the same
// names, apart from what draft.finish settles.
type field struct {
	// name is what we call it. These are Kinde's names, as far as Kinde has it.
	name string
	// others are the names that other files have for it, normalized.
	others []string
	// set adds a value that is not empty to the draft. It is nil for what is of no use
	// here.
	set func(d *draft, column string, v value)
	// places says that the field speaks of organizations, roles or permissions.
	places bool
}

// fields are what is read of people.
var fields = []field{
	{name: "roster_id", set: func(d *draft, column string, v value) { d.ID = d.key(column, v) }},
	{name: "email", others: []string{"emailaddress", "mail"}, set: func(d *draft, column string, v value) {
		d.email(column, d.text(column, v), nil, true)
	}},
	{name: "email_verified", others: []string{"isemailverified"}, set: func(d *draft, column string, v value) { d.EmailVerified = d.flag(column, v) }},
	{name: "phone", others: []string{"phonenumber"}, set: func(d *draft, column string, v value) {
		d.phone(column, d.key(column, v), nil, true)
	}},
	{name: "phone_verified", others: []string{"isphoneverified"}, set: func(d *draft, column string, v value) { d.PhoneVerified = d.flag(column, v) }},
	{name: "username", set: func(d *draft, column string, v value) { d.Username = d.text(column, v) }},
	{name: "first_name", others: []string{"givenname", "firstname"}, set: func(d *draft, column string, v value) { d.GivenName = d.name(column, v) }},
	{name: "last_name", others: []string{"familyname", "surname"}, set: func(d *draft, column string, v value) { d.FamilyName = d.name(column, v) }},
	{name: "name", others: []string{"displayname", "fullname"}, set: func(d *draft, column string, v value) { d.displayName = d.name(column, v) }},
	{name: "picture_url", others: []string{"picture", "photourl"}, set: func(d *draft, column string, v value) { d.PictureURL = d.text(column, v) }},
	{name: "id", others: []string{"userid", "localid", "providedid"}, set: (*draft).setID},
	{name: "external_id", set: func(d *draft, column string, v value) { d.externalID = d.key(column, v) }},
	{name: "alt_id", set: func(d *draft, column string, v value) { d.altID = auth0Prefix + d.key(column, v) }},
	{name: "status", set: (*draft).setStatus},
	{name: "suspended", others: []string{"issuspended", "blocked", "disabled", "userdisabled"}, set: func(d *draft, column string, v value) { d.Suspended = d.flag(column, v) }},

	{name: "external_organization_id", others: []string{"organization", "organizationid"}, places: true, set: func(d *draft, column string, v value) {
		place := d.place()
		place.Organization, place.Column = d.key(column, v), column
	}},
	{name: "role_keys", others: []string{"rolekey", "roles", "role"}, places: true, set: func(d *draft, column string, v value) {
		d.place().Roles = d.list(column, v)
	}},
	{name: "permission_keys", others: []string{"permissionkey", "permissions", "permission"}, places: true, set: func(d *draft, column string, v value) {
		d.place().Permissions = d.list(column, v)
	}},
	{name: "organizations", set: (*draft).setOrganizations},

	{name: "hashed_password", others: []string{"passwordhash"}, set: func(d *draft, column string, v value) {
		d.password.hash, d.password.column = d.text(column, v), column
	}},
	{name: "hashing_method", others: []string{"hashingalgorithm"}, set: func(d *draft, column string, v value) { d.password.method = d.text(column, v) }},
	{name: "salt", set: func(d *draft, column string, v value) { d.password.salt = d.text(column, v) }},
	{name: "salt_position", set: func(d *draft, column string, v value) { d.password.saltPosition = d.text(column, v) }},
	{name: "salt_format", set: func(d *draft, column string, v value) { d.password.saltFormat = d.text(column, v) }},
	{name: "password", set: (*draft).setPassword},
	{name: "custom_password_hash", set: (*draft).setCustomHash},

	{name: "identities", set: (*draft).setIdentities},
	{name: "identifiers", set: (*draft).setIdentities},
	{name: "provider_user_info", set: (*draft).setIdentities},
	{name: "properties", set: (*draft).setProperties},
	{name: "user_metadata", set: func(d *draft, column string, v value) { d.setMetadata("user_metadata", column, v) }},
	{name: "app_metadata", set: func(d *draft, column string, v value) { d.setMetadata("app_metadata", column, v) }},

	{name: "feature_flags", set: (*draft).leaveOut},
	{name: "mfa_factors", others: []string{"multifactor"}, set: (*draft).leaveOut},

	{name: "created_at", others: []string{"createdon", "creationtime"}},
	{name: "updated_at"}, {name: "last_login", others: []string{"lastloginat", "lastsignedin", "lastsignedinat", "lastrefreshat", "lastsignin"}},
	{name: "last_ip"}, {name: "logins_count"}, {name: "last_password_reset", others: []string{"passwordsetdate", "passwordupdatedat"}},
	{name: "connection"}, {name: "nickname"}, {name: "password_verified"}, {name: "business_code"}, {name: "tenant"}, {name: "tmp_is_unique"},
	{name: "hashing_config"}, {name: "valid_since", others: []string{"validafter"}}, {name: "email_md5"}, {name: "version"},
}

// organizationFields are what is read of organizations.
var organizationFields = []field{
	{name: "name", others: []string{"organizationname"}, set: func(d *draft, column string, v value) { d.Organization.Name = d.name(column, v) }},
	{name: "id", others: []string{"externalid", "externalorganizationid", "organizationcode", "code"}, set: func(d *draft, column string, v value) {
		d.Organization.ExternalID = d.key(column, v)
	}},
	{name: "created_on"}, {name: "business_code"},
}

// names has the fields by their normalized names.
type names map[string]*field

var personNames, organizationNames = namesOf(fields), namesOf(organizationFields)

func namesOf(fields []field) names {
	all := names{}
	for i := range fields {
		for _, name := range append([]string{normalized(fields[i].name)}, fields[i].others...) {
			all[name] = &fields[i]
		}
	}
	return all
}

// find returns the field that a file calls by this name, or nil if it is not known. A name
// may lead into a field, such as user_metadata.plan.
func (n names) find(name string) *field {
	if field := n[normalized(name)]; field != nil {
		return field
	}
	head, path, _ := strings.Cut(name, ".")
	field := n[normalized(head)]
	if field == nil || path == "" || strings.Count(path, ".") >= maxPath {
		return nil
	}
	switch field.name {
	case "properties", "user_metadata", "app_metadata":
		return pathField(field.name, strings.Split(path, "."))
	}
	return nil
}

// maxPath is how deep a name may lead into a field.
const maxPath = 20

// pathField returns the field for cells that are one value in a property.
func pathField(name string, path []string) *field {
	full := name + "." + strings.Join(path, ".")
	if name != "properties" {
		path = append([]string{name}, path...)
	}
	return &field{name: full, set: func(d *draft, column string, v value) {
		leaf := v.json
		if leaf == nil {
			leaf, _ = jsontext.AppendQuote(nil, v.cell) // has no error: it is UTF-8
		}
		if d.tree == nil {
			d.tree = tree{}
		}
		d.tree.set(path, json.RawMessage(leaf))
	}}
}

// tree is what several cells say of properties: each value is a tree, or JSON.
type tree map[string]any

// set sets the value at path, unless the path leads through a value.
func (t tree) set(path []string, leaf json.RawMessage) {
	for ; len(path) > 1; path = path[1:] {
		if t[path[0]] == nil {
			t[path[0]] = tree{}
		}
		inner, ok := t[path[0]].(tree)
		if !ok {
			return
		}
		t = inner
	}
	if _, ok := t[path[0]].(tree); !ok {
		t[path[0]] = leaf
	}
}

// list returns our names of the fields, for messages.
func (n names) list() string {
	var list []string
	for name, field := range n {
		if field.set != nil && name == normalized(field.name) {
			list = append(list, field.name)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// normalized returns a name without what differs between files: case, spaces, underscores
// and hyphens.
func normalized(name string) string {
	if !strings.ContainsFunc(name, func(c rune) bool { return c < 'a' || c > 'z' }) {
		return name
	}
	return strings.ToLower(strings.Map(func(c rune) rune {
		switch c {
		case ' ', '_', '-', '\t', '\u00a0', '\ufeff':
			return -1
		}
		return c
	}, name))
}

func (d *draft) setID(column string, v value) {
	if v.json == nil || v.json.Kind() != '{' {
		d.id = d.key(column, v)
		return
	}
	members(v.json, func(name string, v jsontext.Value) { // of MongoDB: {"$oid": "5dea…"}
		if name == "$oid" {
			d.id = auth0Prefix + d.key(column, value{json: v})
		}
	})
}

func (d *draft) setStatus(column string, v value) {
	switch status := d.text(column, v); strings.ToUpper(status) {
	case "ACTIVE":
		d.Suspended = new(false)
	case "SUSPENDED":
		d.Suspended = new(true)
	default:
		d.fail(EnumMismatch, column, "The status is ACTIVE or SUSPENDED, not %s.", quoted(status))
	}
}

// leaveOut warns that the value is not imported, unless it is an empty list or object.
func (d *draft) leaveOut(column string, v value) {
	if text := strings.Join(strings.Fields(string(v.json)), ""); text != "[]" && text != "{}" {
		d.warn(UnsupportedField, column, "%s is not imported.", quoted(column))
	}
}

// setOrganizations takes organizations of Kinde: {external_id, roles, permissions}, or what
// names them alone.
func (d *draft) setOrganizations(column string, v value) {
	if v.json == nil {
		for _, name := range d.list(column, v) {
			d.Organizations = append(d.Organizations, Placement{Organization: name, Column: column})
		}
		return
	}
	if !elements(v.json, func(one jsontext.Value) {
		place := Placement{Column: column}
		switch one.Kind() {
		case '"':
			place.Organization = d.key(column, value{json: one})
		case '{':
			members(one, func(name string, v jsontext.Value) {
				switch normalized(name) {
				case "externalid", "externalorganizationid":
					place.Organization = d.key(column, value{json: v})
				case "id", "code":
					if place.Organization == "" {
						place.Organization = d.key(column, value{json: v})
					}
				case "roles", "rolekeys":
					place.Roles = d.list(column, value{json: v})
				case "permissions", "permissionkeys":
					place.Permissions = d.list(column, value{json: v})
				default:
					d.leaveOut(column+"."+name, value{json: v})
				}
			})
		default:
			d.fail(InvalidType, column, "An organization is needed here, not %s.", quoted(string(one)))
			return
		}
		d.Organizations = append(d.Organizations, place)
	}) {
		d.fail(InvalidType, column, "A list of organizations is needed here, not %s.", quoted(string(v.json)))
	}
}

// setPassword takes password of Kinde, an object with the hash.
func (d *draft) setPassword(column string, v value) {
	if v.json == nil || v.json.Kind() != '{' {
		d.warn(UnsupportedField, column, "The person comes without their password: only hashes are imported.")
		return
	}
	members(v.json, func(name string, v jsontext.Value) {
		p, text := &d.password, func() string { return d.text(column, value{json: v}) }
		switch p.column = column; normalized(name) {
		case "hashedpassword":
			p.hash = text()
		case "hashingmethod", "hashingalgorithm":
			p.method = text()
		case "salt":
			p.salt = text()
		case "saltposition":
			p.saltPosition = text()
		case "saltformat":
			p.saltFormat = text()
		}
	})
}

func (d *draft) setCustomHash(column string, v value) {
	raw := d.object(column, v, "{")
	if raw == nil {
		return
	}
	custom, err := parseCustomHash(raw)
	d.password.column = column
	if err != nil {
		d.warn(UnsupportedHash, column, "The person comes without their password: the hash is %v.", err)
		return
	}
	d.password.custom = custom
}

// setProperties takes an object, or Kinde's list of {key, value}.
func (d *draft) setProperties(column string, v value) {
	raw := d.object(column, v, "{[")
	switch {
	case raw == nil:
	case raw.Kind() == '{':
		members(raw, d.property)
	default:
		elements(raw, func(one jsontext.Value) {
			var key string
			var held jsontext.Value
			members(one, func(name string, v jsontext.Value) {
				switch name {
				case "key":
					key = d.text(column, value{json: v})
				case "value":
					held = v.Clone()
				}
			})
			if key == "" || held == nil {
				d.fail(InvalidType, column, "A property with key and value is needed here, not %s.", quoted(string(one)))
				return
			}
			d.property(key, held)
		})
	}
}

// setMetadata takes metadata of Auth0, an object, as one property.
func (d *draft) setMetadata(name, column string, v value) {
	if raw := d.object(column, v, "{"); len(raw) > len("{}") {
		d.property(name, raw)
	}
}
