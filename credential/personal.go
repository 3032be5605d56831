package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/google/uuid"

	"roster/db"
	"roster/secret"
)

// What belongs to a person is found by the person, so that its secret names them: it is a
// prefix, the ids of the user and of the thing, and 256 random bits, in base64url.

const (
	personalName   = 16 + 16
	personalLength = personalName + 32
)

// newPersonal returns the secret of something new of the user's, and the hash that is stored
// in its place.
func newPersonal[K db.Kind](prefix string, user db.UserID, id db.ID[K]) (shown secret.Text, hash []byte) {
	bits := make([]byte, personalLength)
	copy(bits, user[:])
	copy(bits[16:], id[:])
	rand.Read(bits[personalName:]) // never fails
	sum := sha256.Sum256(bits)
	return secret.New(prefix + base64.RawURLEncoding.EncodeToString(bits)), sum[:]
}

// parsePersonal returns the ids in a secret that newPersonal has made, and its hash.
func parsePersonal(prefix, shown string) (user db.UserID, id uuid.UUID, hash []byte, ok bool) {
	bits, ok := decode(prefix, shown, personalLength)
	if !ok {
		return user, id, nil, false
	}
	sum := sha256.Sum256(bits)
	return db.UserID(bits[:16]), uuid.UUID(bits[16:personalName]), sum[:], true
}

// decode returns the bytes behind the prefix if they are that many.
func decode(prefix, shown string, length int) ([]byte, bool) {
	if len(shown) != len(prefix)+base64.RawURLEncoding.EncodedLen(length) || shown[:len(prefix)] != prefix {
		return nil, false
	}
	bits, err := base64.RawURLEncoding.Strict().DecodeString(shown[len(prefix):])
	return bits, err == nil
}
