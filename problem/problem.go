// Package problem is the one error type that callers of Roster see.
//
// Everything that a caller can cause is a *Error or a List of them, with a
// message fit to show to a person. Every other error is a fault of the server:
// the graph answers INTERNAL and logs the cause.
package problem

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what went wrong; the names are those of the schema's ErrorCode.
type Kind string

// The kinds of problem, one for each ErrorCode of the schema.
const (
	Invalid           Kind = "INVALID"
	Unauthenticated   Kind = "UNAUTHENTICATED"
	Forbidden         Kind = "FORBIDDEN"
	NotFound          Kind = "NOT_FOUND"
	Conflict          Kind = "CONFLICT"
	LastOrganization  Kind = "LAST_ORGANIZATION"
	LastAdministrator Kind = "LAST_ADMINISTRATOR"
	Escalation        Kind = "ESCALATION"
	InvitationOnly    Kind = "INVITATION_ONLY"
	Suspended         Kind = "SUSPENDED"
	RolledBack        Kind = "ROLLED_BACK"
	Limited           Kind = "LIMITED"
	Stale             Kind = "STALE"
	Unavailable       Kind = "UNAVAILABLE"
	Internal          Kind = "INTERNAL"
)

// Error is a problem which the caller can understand and perhaps mend.
type Error struct {
	Kind    Kind
	Message string
	// Field is the path of the input at fault, such as "input.users.3.email";
	// empty where no single input is.
	Field string
}

// Error gives the message, led by the field where there is one.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// New makes a problem about no particular input.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// At makes a problem about the input at field.
func At(kind Kind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}

// List is every problem found in one input, reported together.
type List []*Error

// Error joins the messages.
func (l List) Error() string {
	texts := make([]string, len(l))
	for i, e := range l {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Add appends a problem about the input at field.
func (l *List) Add(kind Kind, field, format string, args ...any) {
	*l = append(*l, At(kind, field, format, args...))
}

// Err is the list as an error: nil when it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// All gives the problems that err consists of; none when err is a fault of the
// server.
func All(err error) []*Error {
	if list, ok := errors.AsType[List](err); ok {
		return list
	}
	if one, ok := errors.AsType[*Error](err); ok {
		return []*Error{one}
	}
	return nil
}

// Is tells whether err is, or contains, a problem of that kind.
func Is(err error, kind Kind) bool {
	for _, e := range All(err) {
		if e.Kind == kind {
			return true
		}
	}
	return false
}
