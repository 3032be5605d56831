package credential

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// bcryptHash is a hash of bcrypt, which sees the first 72 bytes of what prepare makes of a
// password. Like other programs do, it takes longer passwords for the same.
type bcryptHash struct {
	slow
	text    string // $2b$10$ and 53 characters
	prepare func(password string) string
}

// maxBcryptCost bounds the base 2 logarithm of the rounds of bcrypt.
const maxBcryptCost = 14

// bcryptForm is the form of bcrypt's hashes: the kind, the cost, and the salt and the key in a
// base64 of its own. The last digit of the key has bits that stand for nothing, and are 0.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{52}[.CGKOSWaeimquy26]$`)

func parseBcrypt(text string) (hasher, error) {
	return newBcrypt(text, func(password string) string { return password })
}

func newBcrypt(text string, prepare func(password string) string) (hasher, error) {
	if !bcryptForm.MatchString(text) {
		return nil, ErrMalformedHash
	}
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil {
		return nil, ErrMalformedHash
	}
	if cost > maxBcryptCost {
		return nil, ErrExpensiveHash
	}
	return bcryptHash{text: text, prepare: prepare}, nil
}

func (h bcryptHash) matches(password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(h.text), []byte(h.prepare(password))) == nil
}

// BcryptHash returns the stored form of a bcrypt hash that was made with a salt beside its
// own, in front of the password or behind it. Without one, the text is its own stored form.
func BcryptHash(text string, salt []byte, saltFirst bool) (string, error) {
	stored := text
	if len(salt) > 0 {
		stored = "$bcrypt-salted$" + saltOrder(saltFirst) + "$" + b64.EncodeToString(salt) + text
	}
	return stored, CheckHash(stored)
}

// parseSaltedBcrypt parses the parts of what BcryptHash returns.
func parseSaltedBcrypt(parts []string) (hasher, error) {
	if len(parts) < 3 {
		return nil, ErrMalformedHash
	}
	first, err := parseSaltOrder(parts[0])
	if err != nil {
		return nil, err
	}
	salt, err := decodePart(parts[1])
	if err != nil {
		return nil, err
	}
	return newBcrypt("$"+strings.Join(parts[2:], "$"), func(password string) string { return salted(password, salt, first) })
}

// parseWordPress parses a hash of WordPress since 6.8: of an HMAC, so that bcrypt sees all of
// the password (https://make.wordpress.org/core/2025/02/17/wordpress-6-8-will-use-bcrypt-for-password-hashing/).
func parseWordPress(text string) (hasher, error) {
	return newBcrypt(strings.TrimPrefix(text, "$wp"), func(password string) string {
		mac := hmac.New(sha512.New384, []byte("wp-sha384"))
		mac.Write([]byte(password))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	})
}
