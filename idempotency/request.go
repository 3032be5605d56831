package idempotency

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"roster/problem"
	"roster/secret"
)

// ErrOtherRequest is returned for another request under the key of one that was
// answered before.
var ErrOtherRequest = problem.New(problem.Conflict, "This Idempotency-Key came with another request before: choose a new key for a new request.")

// ErrErased is returned for a request that was carried out, and whose answer is no
// longer there.
var ErrErased = problem.New(problem.Conflict, "This request was carried out before. Its answer was about a user who has been deleted since, and is erased.")

// Request is a request that its client may send again, and which will not happen
// again.
type Request struct {
	name [sha256.Size]byte // by which its answer is found
	// owner is the same for all requests with one credential, and tells nothing else
	// of it.
	owner [sha256.Size]byte
	// cipher encrypts the answer: AES-256-GCM with a random nonce, since a name can
	// be used again after its answer was forgotten.
	cipher cipher.AEAD
	asked  [sha256.Size]byte
}

// maxKey is how many characters a key has at most.
const maxKey = 255

// aes256 is the size of a key of AES-256, in bytes.
const aes256 = 32

// NewRequest returns a request of the client that has authenticated with credential. Its
// key is the one that the client sends again to repeat it, and asked is the hash of its
// content. It returns INVALID unless the key has 1 to 255 visible characters of ASCII.
//
// Without both the credential and the key, the stored answer can be neither found nor
// read.
func NewRequest(credential, key secret.Text, asked [sha256.Size]byte) (Request, error) {
	name := key.Reveal()
	if len(name) < 1 || len(name) > maxKey || !key.Visible() {
		return Request{}, problem.New(problem.Invalid, "An Idempotency-Key is 1 to %d visible characters of ASCII.", maxKey)
	}
	owner, err := hkdf.Key(sha256.New, []byte(credential.Reveal()), nil, "roster idempotency", sha256.Size)
	if err != nil {
		return Request{}, err
	}
	derived, err := hkdf.Key(sha256.New, []byte(credential.Reveal()), nil, "roster idempotency "+name, sha256.Size+aes256)
	if err != nil {
		return Request{}, err
	}
	block, err := aes.NewCipher(derived[sha256.Size:])
	if err != nil {
		return Request{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return Request{name: [sha256.Size]byte(derived), owner: [sha256.Size]byte(owner), cipher: aead, asked: asked}, err
}

// Name returns a hash that is the same for all requests of one client under one key.
func (r *Request) Name() [sha256.Size]byte { return r.name }

// seal encrypts an answer together with the hash of the request, because the request
// could be guessed from a hash in plain text.
func (r *Request) seal(answer []byte) []byte {
	return r.cipher.Seal(nil, nil, append(r.asked[:], answer...), nil)
}

// open returns the answer that seal encrypted, or ErrOtherRequest if it belongs to another
// request.
func (r *Request) open(sealed []byte) ([]byte, error) {
	text, err := r.cipher.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("idempotency: an answer on record: %w", err)
	}
	answer, same := bytes.CutPrefix(text, r.asked[:])
	if !same {
		return nil, ErrOtherRequest
	}
	return answer, nil
}
