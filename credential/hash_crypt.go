package credential

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"strings"

	"github.com/go-crypt/x/base64"
	"github.com/go-crypt/x/crypt"
)

// cryptHash is a hash of crypt(3) by md5, sha256 or sha512.
type cryptHash struct {
	quick
	digest func() hash.Hash // nil for md5
	rounds int
	salt   string
	key    string
}

// The limits of a hash of crypt(3): passlib makes up to 656,000 rounds.
const (
	cryptRounds    = 5000 // without a word about them
	minCryptRounds = 1000
	maxCryptRounds = 1_000_000
)

// maxHashedBytes bounds the rounds of a hash times the bytes of a password, which goes into
// each of them. A password that is so long that it takes more does not match.
const maxHashedBytes = 256 << 20

func parseCrypt(kind string, parts []string) (hasher, error) {
	h := &cryptHash{rounds: cryptRounds}
	maxSalt, keySize := 16, 43
	switch kind {
	case "1":
		maxSalt, keySize = 8, 22
	case "5":
		h.digest = sha256.New
	default:
		h.digest, keySize = sha512.New, 86
	}
	if digits, ok := strings.CutPrefix(parts[0], "rounds="); ok && h.digest != nil {
		var err error
		if h.rounds, err = parseNumber(digits); err != nil {
			return nil, err
		}
		parts = parts[1:]
	}
	if h.rounds > maxCryptRounds {
		return nil, ErrExpensiveHash
	}
	if len(parts) != 2 || h.rounds < minCryptRounds || len(parts[0]) > maxSalt || len(parts[1]) != keySize || strings.Trim(parts[1], cryptDigits) != "" {
		return nil, ErrMalformedHash
	}
	h.salt, h.key = parts[0], parts[1]
	return h, nil
}

func (h *cryptHash) matches(password string) bool {
	if h.rounds*len(password) > maxHashedBytes {
		return false
	}
	var key []byte
	if h.digest == nil {
		key = crypt.KeyMD5Crypt([]byte(password), []byte(h.salt))
	} else {
		key = crypt.KeySHACrypt(h.digest, []byte(password), []byte(h.salt), h.rounds)
	}
	return subtle.ConstantTimeCompare(key, []byte(h.key)) == 1
}

// phpassHash is a portable hash of phpass (https://www.openwall.com/phpass/), which WordPress
// made before 6.8, and phpBB makes.
type phpassHash struct {
	quick
	rounds int
	salt   string
	key    string // 22 digits
}

// cryptDigits are the digits of the base64 of crypt(3) and phpass, in their order.
const cryptDigits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The base 2 logarithm of the rounds of phpass. WordPress makes 2^13.
const (
	minPHPassLog = 7
	maxPHPassLog = 20
)

func parsePHPass(parts []string) (hasher, error) {
	if len(parts) != 1 || len(parts[0]) != 1+8+22 || strings.Trim(parts[0], cryptDigits) != "" {
		return nil, ErrMalformedHash
	}
	log := strings.IndexByte(cryptDigits, parts[0][0])
	if log < minPHPassLog {
		return nil, ErrMalformedHash
	}
	if log > maxPHPassLog {
		return nil, ErrExpensiveHash
	}
	return &phpassHash{rounds: 1 << log, salt: parts[0][1:9], key: parts[0][9:]}, nil
}

func (h *phpassHash) matches(password string) bool {
	if h.rounds*len(password) > maxHashedBytes {
		return false
	}
	sum := md5.Sum([]byte(h.salt + password))
	text := append(sum[:], password...)
	for range h.rounds {
		sum = md5.Sum(text)
		copy(text, sum[:])
	}
	return subtle.ConstantTimeCompare(base64.EncodeCrypt(sum[:]), []byte(h.key)) == 1
}
