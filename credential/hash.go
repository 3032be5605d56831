package credential

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// hasher is the stored hash of a password.
type hasher interface {
	// matches reports whether the bytes of the password have this hash.
	matches(password string) bool
	// outdated reports whether the hash is weaker than the ones that are made today, such
	// as this one, or of another kind.
	outdated(today argon2Hash) bool
	// isQuick reports whether matches takes much less time than the hashes that are made
	// today.
	isQuick() bool
}

// slow is embedded in the hashes of other programs that were made to take long.
type slow struct{}

func (slow) outdated(argon2Hash) bool { return true }
func (slow) isQuick() bool            { return false }

// quick is embedded in the hashes of other programs that take next to no time.
type quick struct{}

func (quick) outdated(argon2Hash) bool { return true }
func (quick) isQuick() bool            { return true }

// The errors of CheckHash and of the functions that return stored hashes. They end the
// sentence "The password hash is …".
var (
	ErrUnsupportedHash = errors.New("of a kind that is not supported")
	ErrMalformedHash   = errors.New("malformed")
	ErrExpensiveHash   = errors.New("of a kind that is supported, but asks for too much memory or time")
)

// maxHashLength bounds a stored hash, in bytes.
const maxHashLength = 1024

// The sizes of the parts of a hash, in bytes. A shorter result would match other passwords,
// too.
const (
	minKeySize  = 16
	maxKeySize  = 512
	maxPartSize = 128 // of everything else
)

// CheckHash returns nil if the text is a hash that Verify understands, and would take no more
// work than it may. Otherwise the error is ErrUnsupportedHash, ErrMalformedHash or
// ErrExpensiveHash. It understands the texts that the functions beside it return, and these,
// which other programs make:
//
//	$argon2id$ $argon2i$   PHC strings, version 19
//	$2a$ $2b$ $2y$         bcrypt
//	$wp$2y$                WordPress 6.8
//	$P$ $H$                phpass: WordPress before, phpBB
//	$scrypt$               PHC strings with ln, r and p
//	$pbkdf2-sha256$ …      PHC strings with i and l, or passlib's
//	pbkdf2_sha256$ …       Django
//	$1$ $5$ $6$            crypt(3): md5, sha256, sha512
//	{SSHA} {SHA256} …      LDAP (RFC 2307), also {CRYPT} before one of the above
func CheckHash(text string) error {
	_, err := parseHash(text)
	return err
}

// parseHash returns the hash that was stored as text. Its beginning names the
// kind of hash.
func parseHash(text string) (hasher, error) {
	if len(text) > maxHashLength || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, ErrMalformedHash
	}
	if scheme, rest, ok := cutScheme(text); ok {
		return parseLDAP(scheme, rest)
	}
	if strings.HasPrefix(text, djangoPrefix) {
		return parseDjango(text)
	}
	parts := strings.Split(text, "$")
	if len(parts) < 3 || parts[0] != "" {
		return nil, ErrUnsupportedHash
	}
	switch kind, rest := parts[1], parts[2:]; kind {
	case "argon2id", "argon2i":
		return parseArgon2(kind, rest)
	case "2a", "2b", "2y":
		return parseBcrypt(text)
	case "wp":
		return parseWordPress(text)
	case "bcrypt-salted":
		return parseSaltedBcrypt(rest)
	case "scrypt":
		return parseScrypt(rest)
	case "firebase-scrypt":
		return parseFirebase(rest)
	case "pbkdf2", "pbkdf2-sha1", "pbkdf2-sha224", "pbkdf2-sha256", "pbkdf2-sha384", "pbkdf2-sha512":
		return parsePBKDF2(strings.TrimPrefix(strings.TrimPrefix(kind, "pbkdf2"), "-"), rest)
	case "digest":
		return parseDigest(rest)
	case "P", "H":
		return parsePHPass(rest)
	case "1", "5", "6":
		return parseCrypt(kind, rest)
	}
	return nil, ErrUnsupportedHash
}

// b64 is the base64 of PHC strings.
var b64 = base64.RawStdEncoding.Strict()

// decodePart returns the bytes of a salt or another part of a hash but its key. It takes the
// base64 of PHC strings, also with the padding that some programs leave there, and passlib's
// with dots.
func decodePart(text string) ([]byte, error) {
	bytes, err := b64.DecodeString(strings.ReplaceAll(strings.TrimRight(text, "="), ".", "+"))
	if err != nil || len(bytes) > maxPartSize {
		return nil, ErrMalformedHash
	}
	return bytes, nil
}

// decodeKey returns the bytes that a password is compared by. See decodePart.
func decodeKey(text string) ([]byte, error) {
	key, err := b64.DecodeString(strings.ReplaceAll(strings.TrimRight(text, "="), ".", "+"))
	if err != nil || checkKey(key) != nil {
		return nil, ErrMalformedHash
	}
	return key, nil
}

// checkKey returns an error unless the key has a size that a password can be compared by.
func checkKey(key []byte) error {
	if len(key) < minKeySize || len(key) > maxKeySize {
		return ErrMalformedHash
	}
	return nil
}

// decodeSaltAndKey returns the last two parts of a hash.
func decodeSaltAndKey(saltText, keyText string) (salt, key []byte, err error) {
	if salt, err = decodePart(saltText); err != nil {
		return nil, nil, err
	}
	key, err = decodeKey(keyText)
	return salt, key, err
}

// parseNumbers returns the numbers of text such as "m=65536,t=3", which has the names in this
// order, and nothing else.
func parseNumbers(text string, names ...string) ([]int, error) {
	fields := strings.Split(text, ",")
	if len(fields) != len(names) {
		return nil, ErrMalformedHash
	}
	numbers := make([]int, len(names))
	for i, field := range fields {
		digits, ok := strings.CutPrefix(field, names[i]+"=")
		if !ok {
			return nil, ErrMalformedHash
		}
		var err error
		if numbers[i], err = parseNumber(digits); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// parseNumber returns the number that is written as digits, without a sign or zeros before
// it. One that is too large for any cost is ErrExpensiveHash.
func parseNumber(digits string) (int, error) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' && digits != "0" {
		return 0, ErrMalformedHash
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return 0, ErrExpensiveHash
	}
	return int(n), nil
}
