// Package credential holds the secrets by which callers identify themselves, which
// are API keys: it makes them, recognises their form, stores no more than a hash,
// and finds the key whose secret came with a request. Keys remembers those that
// worked, so that a key in use costs no statement.
//
// What a key may do, who may make one and what is written down about it are
// directory's.
package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"roster/problem"
	"roster/secret"
)

// prefix begins the secret of every API key, so that one which leaked is recognised
// as such.
const prefix = "rk_"

// The number of characters behind the prefix of a secret that was chosen by hand is
// at least minChosen; maxLength keeps what is hashed small.
const (
	minChosen = 32
	maxLength = 512
)

// shownLength is how much of a secret is stored and shown, to recognise it by. At
// least 25 characters of it remain unknown.
const shownLength = 10

// New returns the secret of a new API key: "rk_" and 43 characters of base64url that
// hold 256 random bits.
func New() secret.Text {
	bits := make([]byte, 32)
	rand.Read(bits) // never fails
	return secret.New(prefix + base64.RawURLEncoding.EncodeToString(bits))
}

// Check returns INVALID for a text that cannot be the secret of an API key which
// somebody has chosen.
func Check(chosen secret.Text) error {
	if n := len(chosen.Reveal()); !hasForm(chosen) || n < len(prefix)+minChosen || !chosen.Visible() {
		return problem.New(problem.Invalid, "An API key is %s and at least %d more letters, digits and signs, without spaces.", prefix, minChosen)
	}
	return nil
}

// hasForm reports whether it is worth looking for an API key with that secret.
func hasForm(key secret.Text) bool {
	text := key.Reveal()
	return strings.HasPrefix(text, prefix) && len(text) <= maxLength
}

// Shown returns the beginning of the secret, by which people recognise it.
func Shown(key secret.Text) string { return key.Reveal()[:shownLength] }

// Hash returns what is stored of a secret. A plain hash is enough, since secrets are
// random and long.
func Hash(key secret.Text) []byte {
	sum := sum(key)
	return sum[:]
}

func sum(key secret.Text) [sha256.Size]byte { return sha256.Sum256([]byte(key.Reveal())) }
