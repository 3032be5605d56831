package credential

import (
	"cmp"
	"crypto/pbkdf2"
	"crypto/subtle"
	"fmt"
	"hash"
	"strings"
)

// pbkdf2Hash is a hash of PBKDF2 (RFC 8018) by HMAC. Of the key that the other program made,
// it has the first block: the other ones are made of the same, so that they say no more.
type pbkdf2Hash struct {
	slow
	digest     func() hash.Hash
	iterations int
	salt, key  []byte
}

// maxPBKDF2Iterations is more than OWASP's Password Storage Cheat Sheet and Django ask for.
const maxPBKDF2Iterations = 2_000_000

// The parameters of PHC strings without any: what Auth0's imports take for granted.
const (
	pbkdf2Iterations = 100_000
	pbkdf2Size       = 64
)

// djangoPrefix begins the hashes of PBKDF2 in Django, behind which are the digest, the
// iterations, the salt as text, and the key.
const djangoPrefix = "pbkdf2_"

// PBKDF2Hash returns the stored form of a hash of PBKDF2 (RFC 8018) by HMAC with the digest
// sha1, sha224, sha256, sha384 or sha512.
func PBKDF2Hash(digest string, iterations int, salt, key []byte) (string, error) {
	if _, err := newPBKDF2(digest, iterations, salt, key); err != nil {
		return "", err
	}
	key = firstBlock(digest, key)
	return fmt.Sprintf("$pbkdf2-%s$i=%d,l=%d$%s$%s", digest, iterations, len(key), b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

func newPBKDF2(digest string, iterations int, salt, key []byte) (hasher, error) {
	switch {
	case digests[digest] == nil || !strings.HasPrefix(digest, "sha"):
		return nil, ErrUnsupportedHash
	case iterations < 1 || len(salt) > maxPartSize || checkKey(key) != nil:
		return nil, ErrMalformedHash
	case iterations > maxPBKDF2Iterations:
		return nil, ErrExpensiveHash
	}
	return pbkdf2Hash{digest: digests[digest], iterations: iterations, salt: salt, key: firstBlock(digest, key)}, nil
}

func firstBlock(digest string, key []byte) []byte {
	return key[:min(len(key), digests[digest]().Size())]
}

// parsePBKDF2 parses the parts of a PHC string, or of a hash of passlib's, which has the
// iterations alone in the place of the parameters. Without a digest it is sha1.
func parsePBKDF2(digest string, parts []string) (hasher, error) {
	iterations, size := pbkdf2Iterations, pbkdf2Size
	switch len(parts) {
	case 2:
		parts = append([]string{""}, parts...)
	case 3:
		var err error
		if iterations, size, err = parsePBKDF2Cost(parts[0]); err != nil {
			return nil, err
		}
	default:
		return nil, ErrMalformedHash
	}
	salt, key, err := decodeSaltAndKey(parts[1], parts[2])
	if err != nil || size > 0 && size != len(key) {
		return nil, ErrMalformedHash
	}
	return newPBKDF2(cmp.Or(digest, "sha1"), iterations, salt, key)
}

// parsePBKDF2Cost returns the iterations and the size of the key, which is 0 if text does not
// say.
func parsePBKDF2Cost(text string) (iterations, size int, err error) {
	if !strings.HasPrefix(text, "i=") {
		iterations, err = parseNumber(text)
		return iterations, 0, err
	}
	n, err := parseNumbers(text, "i", "l")
	if err != nil {
		return 0, 0, err
	}
	if n[1] == 0 {
		return 0, 0, ErrMalformedHash
	}
	return n[0], n[1], nil
}

func parseDjango(text string) (hasher, error) {
	parts := strings.Split(strings.TrimPrefix(text, djangoPrefix), "$")
	if len(parts) != 4 {
		return nil, ErrMalformedHash
	}
	iterations, err := parseNumber(parts[1])
	if err != nil {
		return nil, err
	}
	key, err := decodeKey(parts[3])
	if err != nil {
		return nil, err
	}
	return newPBKDF2(parts[0], iterations, []byte(parts[2]), key)
}

func (h pbkdf2Hash) matches(password string) bool {
	key, err := pbkdf2.Key(h.digest, password, h.salt, h.iterations, len(h.key))
	if err != nil {
		panic(err) // the hash was parsed
	}
	return subtle.ConstantTimeCompare(key, h.key) == 1
}
