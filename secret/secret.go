// Package secret keeps secrets out of logs, errors and traces.
//
// Code through which a secret passes holds a Text. However a Text is printed,
// logged or encoded, it appears as ***. Only Reveal returns the secret itself.
//
//	key := secret.New("rk_5c0…")
//	log.Info("read", "key", key)                            // key=***
//	r.Header.Set("Authorization", "Bearer "+key.Reveal())  // the key
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Shown is printed in place of every Text, even of an empty one.
const Shown = "***"

// Text is a secret: an API key, a password, or a text that contains one, such as
// the address of a database. However it is printed, logged or encoded, it appears
// as Shown. The zero value is the empty text.
type Text struct {
	// text is a pointer because fmt prints unexported fields without calling their
	// methods, but does not follow pointers there.
	text *string
}

// New returns text as a secret.
func New(text string) Text {
	if text == "" {
		return Text{}
	}
	return Text{&text}
}

// Reveal returns the secret itself. Call it only to send the secret, to store it
// where it belongs, or to show it to the one person for whom it is meant.
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

// Empty reports whether the text is empty.
func (t Text) Empty() bool { return t.text == nil }

// Equal reports whether two secrets are the same. The time it takes does not
// depend on where they differ.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// String returns Shown.
func (Text) String() string { return Shown }

// GoString returns Shown.
func (Text) GoString() string { return Shown }

// Format writes Shown, for every verb.
func (Text) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Shown) }

// LogValue returns Shown.
func (Text) LogValue() slog.Value { return slog.StringValue(Shown) }

// MarshalText returns Shown. Package encoding/json uses it, too.
func (Text) MarshalText() ([]byte, error) { return []byte(Shown), nil }
