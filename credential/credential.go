// Package credential holds the secrets by which callers identify themselves: API keys
// and passwords.
//
// It makes API keys and stores only their hashes, and it finds the key whose secret came
// with a request:
//
//	secret ──▶ Keys.Find ──▶ memory: the key worked at this epoch
//	                    └──▶ PostgreSQL, by the hash, in lookup.go
//
// A key in use therefore costs no statement. Package directory decides who may make a
// key and what it may do, and records both.
//
// Passwords (password.go) hashes and verifies passwords, a few at a time. hash.go tells the
// kinds of hashes apart, ours and the ones of other programs; each family has a file.
// CheckPassword (choice.go) says which passwords may be chosen.
//
// Begin with Keys in keys.go; this file has the secrets.
package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"roster/problem"
	"roster/secret"
)

// prefix begins the secret of every API key, so that a leaked one is recognised.
const prefix = "rk_"

// The number of characters behind the prefix of a secret that was chosen by hand is
// at least minChosen. maxLength bounds the text that is hashed.
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

// Check returns INVALID for a text that cannot be the chosen secret of an API key: one
// without the prefix, of a wrong length, or with characters that are not visible.
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

// Hash returns the hash of a secret, which is stored in its place. A plain hash is enough,
// because secrets are random and long.
func Hash(key secret.Text) []byte {
	sum := sum(key)
	return sum[:]
}

func sum(key secret.Text) [sha256.Size]byte { return sha256.Sum256([]byte(key.Reveal())) }
