// Package problem holds the one error type that callers of Roster see.
//
// Every failure that a caller can cause is an *Error, or a List of them, with a
// message for the person who reads it. Every other error is a fault of the
// server: package graph answers INTERNAL and logs the cause.
//
//	*Error, List  ->  code, message and path in the answer
//	other errors  ->  INTERNAL in the answer, the cause in the log
//
// Begin with New and At to make problems, List to collect all problems of one
// input, and Is to test an error for a kind.
package problem

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind classifies a problem. Its values are the values of the schema's ErrorCode.
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

// Error is a problem that the caller can understand and perhaps correct.
type Error struct {
	Kind Kind
	// Message is one sentence for the person who reads it.
	Message string
	// Field is the path of the input at fault, such as "input.users.3.email". It is
	// empty if no single input is at fault.
	Field string
	// RetryAfter is how long to wait before another try; 0 if that is of no use.
	RetryAfter time.Duration
}

// Error returns the message, after the field if there is one.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// New returns a problem that concerns no single input.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// At returns a problem with the input at field.
func At(kind Kind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}

// List holds all problems of one input, so that they are reported together.
type List []*Error

// Error returns the messages, separated by semicolons.
func (l List) Error() string {
	texts := make([]string, len(l))
	for i, e := range l {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Add appends a problem with the input at field.
func (l *List) Add(kind Kind, field, format string, args ...any) {
	*l = append(*l, At(kind, field, format, args...))
}

// Err returns the list as an error, or nil if the list is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// All returns the problems that err consists of. It returns nil if err is a fault
// of the server.
func All(err error) []*Error {
	if list, ok := errors.AsType[List](err); ok {
		return list
	}
	if one, ok := errors.AsType[*Error](err); ok {
		return []*Error{one}
	}
	return nil
}

// Is reports whether err is or contains a problem of the given kind.
func Is(err error, kind Kind) bool {
	for _, e := range All(err) {
		if e.Kind == kind {
			return true
		}
	}
	return false
}
