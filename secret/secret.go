// Package secret keeps secrets out of what is told: logs, errors, traces. Code
// through which a secret passes holds a Text, and has to say Reveal to see it.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Shown stands for every secret, whatever it is and whether there is one.
const Shown = "***"

// Text is a secret: an API key, a password, or something that has one in it.
// However it is printed, logged or encoded, it is Shown. The zero value is the
// empty text.
type Text struct {
	// A pointer, since fmt looks into fields that are not exported without asking
	// their methods, but does not follow pointers there.
	text *string
}

// New makes a secret of text.
func New(text string) Text {
	if text == "" {
		return Text{}
	}
	return Text{&text}
}

// Reveal gives the secret itself, for who has to use it: to send it, to store it
// where it belongs, or to show it to the one person whom it is for.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// Visible reports whether the secret consists of visible characters of ASCII, which
// the header of a request can carry. The empty text does.
func (t Text) Visible() bool {
	return !strings.ContainsFunc(t.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' })
}

// Empty tells whether there is none.
func (t Text) Empty() bool { return t.text == nil }

// Equal tells whether two secrets are the same, in a time that does not depend on
// where they differ.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// String is Shown.
func (Text) String() string { return Shown }

// GoString is Shown.
func (Text) GoString() string { return Shown }

// Format writes Shown, for every verb.
func (Text) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Shown) }

// LogValue is Shown.
func (Text) LogValue() slog.Value { return slog.StringValue(Shown) }

// MarshalText gives Shown, in JSON too.
func (Text) MarshalText() ([]byte, error) { return []byte(Shown), nil }
