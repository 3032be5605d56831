package credential

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// argon2Hash is a hash of argon2id or argon2i (RFC 9106), version 19.
type argon2Hash struct {
	kind    string // argon2id or argon2i
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

// The limits of a stored hash. Its work is memory times time.
const (
	maxArgonMemory  = 256 << 10
	maxArgonWork    = 1 << 20
	maxArgonThreads = 16
	minArgonMemory  = 8 // for each thread
	minSaltSize     = 8
)

// newArgon2id returns a hash with the parameters of today, except for so many KiB of memory,
// with a new salt, and without a tag.
func newArgon2id(memory uint32) argon2Hash {
	h := argon2Hash{kind: "argon2id", memory: memory, time: argonTime, threads: argonThreads, salt: make([]byte, saltSize), tag: make([]byte, tagSize)}
	rand.Read(h.salt) // never fails
	return h
}

// parseArgon2 parses the parts of what String returns, also with other parameters.
func parseArgon2(kind string, parts []string) (hasher, error) {
	version := fmt.Sprintf("v=%d", argon2.Version)
	if len(parts) == 3 || len(parts) == 4 && parts[0] != version { // a version before 19 is not always written
		return nil, ErrUnsupportedHash
	}
	if len(parts) != 4 {
		return nil, ErrMalformedHash
	}
	n, err := parseNumbers(parts[1], "m", "t", "p")
	if err != nil {
		return nil, err
	}
	memory, time, threads := n[0], n[1], n[2]
	if time < 1 || threads < 1 || memory < minArgonMemory*threads {
		return nil, ErrMalformedHash
	}
	if threads > maxArgonThreads || memory > maxArgonMemory || time > maxArgonWork/memory {
		return nil, ErrExpensiveHash
	}
	salt, tag, err := decodeSaltAndKey(parts[2], parts[3])
	if err != nil || len(salt) < minSaltSize {
		return nil, ErrMalformedHash
	}
	return argon2Hash{kind: kind, memory: uint32(memory), time: uint32(time), threads: uint8(threads), salt: salt, tag: tag}, nil
}

// String returns the hash as a PHC string.
func (h argon2Hash) String() string {
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", h.kind, argon2.Version, h.memory, h.time, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.tag))
}

// compute returns the tag of the password by the parameters of the hash.
func (h argon2Hash) compute(password string) []byte {
	key := argon2.IDKey
	if h.kind == "argon2i" {
		key = argon2.Key
	}
	return key([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.tag)))
}

// derive sets the tag to the one of the password.
func (h *argon2Hash) derive(password string) { h.tag = h.compute(password) }

func (h argon2Hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.compute(password), h.tag) == 1
}

func (h argon2Hash) outdated(today argon2Hash) bool {
	return h.kind != today.kind || h.memory < today.memory || h.time < today.time || len(h.salt) < len(today.salt) || len(h.tag) < len(today.tag)
}

func (argon2Hash) isQuick() bool { return false }
