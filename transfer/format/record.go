package format

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Record is a person, or an organization, as one record of a file says it. Texts are
// trimmed and without guards. The rules of the directory have not looked at them.
type Record struct {
	// Line is the physical line at which the record begins in its file, from 1. In
	// arrays, and in JSON on one line, the object begins there.
	Line int
	// ID is our own id of the person, as exports have it (roster_id), in its text form.
	ID string
	// Email and the other texts are empty if the file has no value.
	Email, Phone, Username, GivenName, FamilyName, PictureURL, ExternalID string
	// ExternalIDAlias is another external id by which the directory may know the person
	// already, or empty: files made for Auth0 drop the "auth0|" that its exports have.
	ExternalIDAlias string
	// EmailVerified and the other two are nil if the file says nothing.
	EmailVerified, PhoneVerified, Suspended *bool
	// Properties are JSON values by name. Metadata of Auth0 is in user_metadata and
	// app_metadata.
	Properties map[string]json.RawMessage
	// PasswordHash is in the form in which credential stores it, or empty.
	PasswordHash string
	// Identities are accounts elsewhere by which the person signs in.
	Identities []Identity
	// Organizations is nil if the file does not speak of organizations, roles or
	// permissions.
	Organizations []Placement
	// Organization is what the record describes if it is no person, or nil.
	Organization *Organization
	// Errors say why the record can't be imported. Its other fields may be incomplete.
	Errors []Fault
	// Warnings say what is left out or was changed.
	Warnings []Fault
}

// Identity is an account of somebody else by which a person signs in.
type Identity struct {
	// Provider is the issuer where it is known (https://accounts.google.com), or else
	// the vendor's name for the provider or connection ("waad").
	Provider string
	// Subject is the person's id there.
	Subject string
	// Email is the address that the account has there, or empty.
	Email string
}

// Placement is an organization that a person belongs to, with what they get there.
type Placement struct {
	// Organization is an external id, or else a code. It is empty for the default one.
	Organization string
	// Column is how the file calls what names the organization, for faults.
	Column string
	// Roles and Permissions are keys.
	Roles, Permissions []string
}

// Organization is what a file says of an organization.
type Organization struct {
	Name string
	// ExternalID is how records of people name it, or empty.
	ExternalID string
}

// Fault is what is wrong with a record, or what of it is left out.
type Fault struct {
	Code    string
	Message string
	// Column is how the file calls what is at fault, or empty if that is the whole record.
	Column string
}

// The codes of faults that reading finds. Most are Auth0's.
const (
	// MalformedRow is for what can't be taken apart, or is too long.
	MalformedRow = "MALFORMED_ROW"
	// InvalidType is for a value of another type, such as a number for a name.
	InvalidType = "INVALID_TYPE"
	// EnumMismatch is for a value that is not among those that are allowed.
	EnumMismatch = "ENUM_MISMATCH"
	// AnyOfMissing is for a person without an address, a username and an id.
	AnyOfMissing = "ANY_OF_MISSING"
	// Formatting is for a value in another form, which was changed or is left out.
	Formatting = "FORMAT"
	// UnsupportedHash is for a password that can't be taken over.
	UnsupportedHash = "UNSUPPORTED_HASH"
	// UnsupportedField is for what the file has, and is not imported.
	UnsupportedField = "UNSUPPORTED_FIELD"
)

// What a record says of its faults is bounded, whatever a file has in it: so many errors and
// warnings, which quote so many bytes.
const (
	maxFaults = 20
	maxQuoted = 100
)

// fail adds an error.
func (r *Record) fail(code, column, message string, args ...any) {
	r.Errors = withFault(r.Errors, code, column, message, args...)
}

// warn adds a warning.
func (r *Record) warn(code, column, message string, args ...any) {
	r.Warnings = withFault(r.Warnings, code, column, message, args...)
}

func withFault(faults []Fault, code, column, message string, args ...any) []Fault {
	if len(faults) == maxFaults {
		return faults
	}
	return append(faults, Fault{Code: code, Message: fmt.Sprintf(message, args...), Column: cut(column)})
}

// unknown adds the warning that a name of the file is not known.
func (r *Record) unknown(name string) {
	r.warn(UnsupportedField, name, "%s is not known, and is left out.", quoted(name))
}

// quoted returns text in quotes, cut to what a fault may quote.
func quoted(text string) string { return fmt.Sprintf("%q", cut(text)) }

// cut returns text, or its beginning if it is longer than a fault may quote.
func cut(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
}
