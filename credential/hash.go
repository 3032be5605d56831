package credential

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// hasher is the stored hash of a password.
type hasher interface {
	// matches reports whether the password, in NFC, has this hash.
	matches(password string) bool
	// outdated reports whether the hash is weaker than the ones that are made today.
	outdated() bool
}

// maxHashLength bounds a stored hash, in bytes.
const maxHashLength = 512

var errHash = errors.New("credential: a stored hash of a password is malformed, of an unknown kind, or asks for too much work")

// parseHash returns the hash that was stored as text. What kind of hash it is stands at
// its beginning.
func parseHash(text string) (hasher, error) {
	if len(text) > maxHashLength {
		return nil, errHash
	}
	if strings.HasPrefix(text, argon2idPrefix) {
		return parseArgon2id(text)
	}
	return nil, errHash
}

// argon2id is a hash of argon2id (RFC 9106), version 19.
type argon2id struct {
	memory  uint32 // KiB
	time    uint32 // passes over the memory
	threads uint8
	salt    []byte
	tag     []byte
}

// The parameters of new hashes: the first choice of OWASP's Password Storage Cheat Sheet.
const (
	argonMemory  = 46 << 10
	argonTime    = 1
	argonThreads = 1
	saltSize     = 16
	tagSize      = 32
)

// What a stored hash may ask for. Its work is memory times time.
const (
	maxArgonMemory  = 256 << 10
	maxArgonWork    = 1 << 20
	maxArgonThreads = 16
	minSaltSize     = 8
	minTagSize      = 16
	maxPartSize     = 64 // of salt and tag
)

const argon2idPrefix = "$argon2id$"

// newArgon2id returns a hash with the parameters of today and a new salt, and without a
// tag.
func newArgon2id() argon2id {
	h := argon2id{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, saltSize), tag: make([]byte, tagSize)}
	rand.Read(h.salt) // never fails
	return h
}

// parseArgon2id parses what String returns, also with other parameters.
func parseArgon2id(text string) (argon2id, error) {
	var h argon2id
	parts := strings.Split(text, "$") // "", kind, version, parameters, salt, tag
	if len(parts) != 6 {
		return h, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return h, errHash
	}
	var saltErr, tagErr error
	h.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.tag, tagErr = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	// Sscanf takes signs, zeros and more behind the number; String does not write them.
	if saltErr != nil || tagErr != nil || !h.isAllowed() || h.String() != text {
		return h, errHash
	}
	return h, nil
}

func (h argon2id) isAllowed() bool {
	return h.threads >= 1 && h.threads <= maxArgonThreads && h.time >= 1 && h.memory >= 8*uint32(h.threads) && h.memory <= maxArgonMemory &&
		uint64(h.memory)*uint64(h.time) <= maxArgonWork &&
		len(h.salt) >= minSaltSize && len(h.salt) <= maxPartSize && len(h.tag) >= minTagSize && len(h.tag) <= maxPartSize
}

// String returns the hash as a PHC string.
func (h argon2id) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", argon2idPrefix, argon2.Version, h.memory, h.time, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.tag))
}

// compute returns the tag of the password by the parameters of the hash.
func (h argon2id) compute(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.tag)))
}

// derive sets the tag to the one of the password.
func (h *argon2id) derive(password string) { h.tag = h.compute(password) }

func (h argon2id) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.compute(password), h.tag) == 1
}

func (h argon2id) outdated() bool {
	return h.memory < argonMemory || h.time < argonTime || len(h.salt) < saltSize || len(h.tag) < tagSize
}
