package secret

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// Keyring seals what must be readable again, such as signing keys. A secret
// that is only compared, such as an API key, is hashed instead. The first of its keys seals, and
// every one opens, so that a new key can be put before the others and the old ones
// taken away when nothing is sealed by them any more. What it derives need not be stored at
// all. A Keyring is safe for concurrent use.
//
// Sealed bytes are the version, the id of the key, a nonce, and the cipher text of
// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). Its nonces are long enough to be
// drawn at random, however much is sealed.
type Keyring struct{ keys []sealingKey }

// sealingKey is one key of a ring. The id shows nothing of the key itself.
type sealingKey struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
	// derive is the key of what is derived.
	derive []byte
}

// The sizes of the parts of sealed bytes; version is the first of them.
const (
	version    = 1
	keyIDSize  = 8
	headerSize = 1 + keyIDSize
	nonceSize  = chacha20poly1305.NonceSizeX
)

// The errors of Keyring.Open.
var (
	ErrUnknownKey = errors.New("sealed by a key that is not in the keyring")
	ErrNotSealed  = errors.New("not sealed, altered since, or sealed for another purpose")
)

// NewKey returns a new key for a keyring: 32 random bytes in base64.
func NewKey() Text {
	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key) // never fails
	return New(base64.StdEncoding.EncodeToString(key))
}

// ParseKeyring returns the keyring of one or more keys, which are separated by commas.
// Each key is 32 bytes in base64 (RFC 4648, 4). The error never quotes the text.
func ParseKeyring(text string) (*Keyring, error) {
	ring := &Keyring{}
	for part := range strings.SplitSeq(text, ",") {
		key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(part))
		if err != nil || len(key) != chacha20poly1305.KeySize {
			return nil, fmt.Errorf("key %d is not 32 bytes in base64, as \"openssl rand -base64 32\" prints them", len(ring.keys)+1)
		}
		made, err := newSealingKey(key)
		if err != nil {
			return nil, err
		}
		if ring.find(made.id[:]) != nil {
			return nil, fmt.Errorf("key %d is there twice", len(ring.keys)+1)
		}
		ring.keys = append(ring.keys, made)
	}
	return ring, nil
}

func newSealingKey(key []byte) (sealingKey, error) {
	id, err := hkdf.Key(sha256.New, key, nil, "roster key id", keyIDSize)
	if err != nil {
		return sealingKey{}, err
	}
	derive, err := hkdf.Key(sha256.New, key, nil, "roster derive", sha256.Size)
	if err != nil {
		return sealingKey{}, err
	}
	aead, err := chacha20poly1305.NewX(key)
	return sealingKey{id: [keyIDSize]byte(id), aead: aead, derive: derive}, err
}

// find returns the key with that id, or nil if the ring does not have it.
func (k *Keyring) find(id []byte) *sealingKey {
	i := slices.IndexFunc(k.keys, func(key sealingKey) bool { return bytes.Equal(key.id[:], id) })
	if i < 0 {
		return nil
	}
	return &k.keys[i]
}

// Seal returns plain sealed by the first key, for a purpose such as "signing key".
// Sealing the same bytes again returns other ones.
func (k *Keyring) Seal(purpose string, plain []byte) []byte {
	key := &k.keys[0]
	sealed := make([]byte, headerSize+nonceSize, headerSize+nonceSize+len(plain)+chacha20poly1305.Overhead)
	sealed[0] = version
	copy(sealed[1:], key.id[:])
	nonce := sealed[headerSize:]
	rand.Read(nonce) // never fails
	return key.aead.Seal(sealed, nonce, plain, additional(sealed, purpose))
}

// Open returns what Seal has sealed for the same purpose. It returns ErrUnknownKey or
// ErrNotSealed.
func (k *Keyring) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerSize+nonceSize || sealed[0] != version {
		return nil, ErrNotSealed
	}
	key := k.find(sealed[1:headerSize])
	if key == nil {
		return nil, ErrUnknownKey
	}
	nonce, text := sealed[headerSize:headerSize+nonceSize], sealed[headerSize+nonceSize:]
	plain, err := key.aead.Open(nil, nonce, text, additional(sealed, purpose))
	if err != nil {
		return nil, ErrNotSealed
	}
	return plain, nil
}

// additional returns what is authenticated along with the text: version and id of the
// key, and what the text is for, so that nobody can put it where another one belongs.
func additional(sealed []byte, purpose string) []byte {
	return append(slices.Clone(sealed[:headerSize]), purpose...)
}

// Current reports whether the first key has sealed these bytes. Otherwise they should be
// opened, and sealed again, before the key that has sealed them is taken away.
func (k *Keyring) Current(sealed []byte) bool {
	return len(sealed) >= headerSize && bytes.Equal(sealed[1:headerSize], k.keys[0].id[:])
}

// Derive returns 32 bytes that nobody without the first key can find out, and that are the
// same each time for the same purpose and text (HMAC-SHA-256).
func (k *Keyring) Derive(purpose string, text []byte) []byte { return k.keys[0].mac(purpose, text) }

// IsDerived reports whether Derive has returned those bytes, by any of the keys.
func (k *Keyring) IsDerived(purpose string, text, derived []byte) bool {
	return slices.ContainsFunc(k.keys, func(key sealingKey) bool { return hmac.Equal(key.mac(purpose, text), derived) })
}

func (k *sealingKey) mac(purpose string, text []byte) []byte {
	h := hmac.New(sha256.New, k.derive)
	h.Write(append([]byte(purpose), 0))
	h.Write(text)
	return h.Sum(nil)
}

// Format writes Shown, for every verb.
func (*Keyring) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Shown) }
